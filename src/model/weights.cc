#include "model/weights.h"

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tensor/safetensors.h"

namespace calliope::model {
namespace {

namespace fs = std::filesystem;

Result<std::vector<std::string>> shard_names(const fs::path& index) {
  std::ifstream file(index, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return fail(ErrorCode::io, "cannot read " + index.string());
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text.str(), error);
  const auto* object = value.if_object();
  const auto* map = error || !object ? nullptr : object->if_contains("weight_map");
  if (!map || !map->is_object()) return fail(ErrorCode::invalid_argument, index.string() + " has no weight_map object");
  std::set<std::string> names;
  for (const auto& [tensor, shard] : map->get_object()) {
    const std::string name = shard.is_string() ? std::string(shard.get_string()) : "";
    // A shard lies in the checkpoint's own folder: no way out of it by a path.
    if (name.empty() || name == "." || name == ".." || fs::path(name).filename() != fs::path(name)) {
      return fail(ErrorCode::invalid_argument, index.string() + ": weight_map names a shard that is not a file name");
    }
    names.insert(name);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace

Result<Weights> Weights::open(const std::string& folder) {
  const fs::path root(folder);
  std::error_code ignored;
  std::vector<std::string> shards;
  if (fs::exists(root / "model.safetensors.index.json", ignored)) {
    TRY(shards, shard_names(root / "model.safetensors.index.json"));
  } else if (fs::exists(root / "model.safetensors", ignored)) {
    shards = {"model.safetensors"};
  } else {
    return fail(ErrorCode::not_found, folder + " has neither model.safetensors nor model.safetensors.index.json", folder);
  }
  Weights weights;
  for (const std::string& shard : shards) {
    auto file = tensor::SafetensorsFile::open((root / shard).string());
    if (!file && file.error().code == ErrorCode::not_found) {
      return fail(ErrorCode::not_found, "there is no file " + (root / shard).string() + ", which model.safetensors.index.json names: download the checkpoint again", shard);
    }
    if (!file) return std::unexpected(std::move(file).error());
    auto kept = std::make_shared<const tensor::SafetensorsFile>(*std::move(file));
    for (const auto& [name, view] : kept->tensors()) {
      if (!weights.tensors_.emplace(name, view).second) {
        return fail(ErrorCode::invalid_argument, "tensor " + name + " stands in two shards of " + folder, name);
      }
    }
    weights.left_out_.insert(kept->left_out().begin(), kept->left_out().end());
    weights.files_.push_back(kept->mapping());
    weights.owners_.push_back(std::move(kept));
  }
  return weights;
}

Weights Weights::of(Map tensors, std::map<std::string, std::string, std::less<>> left_out, std::shared_ptr<const void> owner,
                    WeightWording wording, std::vector<tensor::MappedFile> files) {
  Weights weights;
  weights.owners_ = {std::move(owner)};
  weights.tensors_ = std::move(tensors);
  weights.left_out_ = std::move(left_out);
  weights.wording_ = std::move(wording);
  weights.files_ = std::move(files);
  return weights;
}

Result<tensor::View> Weights::take(std::string_view name, const tensor::Shape& shape) const {
  const std::string shown = wording_.name_in_file ? wording_.name_in_file(name) : std::string(name);
  const auto wrong_type = [&](std::string_view type) {
    return fail(ErrorCode::unsupported,
                "tensor " + shown + " is " + std::string(type) +
                    "; F32, F16 and BF16 are read, and of GGUF Q8_0, Q4_0, Q4_K, Q5_K and Q6_K: convert the checkpoint",
                shown);
  };
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    if (const auto other = left_out_.find(name); other != left_out_.end()) return wrong_type(other->second);
    return fail(ErrorCode::not_found,
                "the checkpoint has no tensor " + shown + ", which " + wording_.described_by + " asks for", shown);
  }
  const tensor::View& view = found->second;
  if (!tensor::is_float(view.dtype)) return wrong_type(tensor::name_of(view.dtype));
  if (!(view.shape == shape)) {
    return fail(ErrorCode::invalid_argument, "tensor " + shown + " has shape " + view.shape.text() + ", but " +
                                                 wording_.described_by + " asks for " + shape.text(), shown);
  }
  return view;
}

tensor::View Weights::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? tensor::View() : found->second;
}

void Weights::release(const tensor::View& view) const {
  for (const tensor::MappedFile& file : files_) {
    const auto all = file.bytes();
    if (view && view.data >= all.data() && view.data < all.data() + all.size()) file.release({view.data, view.bytes()});
  }
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, view] : tensors_) names.push_back(name);
  return names;
}

size_t Weights::bytes() const {
  size_t bytes = 0;
  for (const auto& [name, view] : tensors_) bytes += view.bytes();
  return bytes;
}

}  // namespace calliope::model
