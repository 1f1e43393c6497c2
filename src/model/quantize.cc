#include "model/quantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/thread_pool.h"
#include "model/gguf_source.h"
#include "tensor/gguf_writer.h"
#include "tensor/quant_blocks.h"

namespace calliope::model {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::View;

constexpr int64_t kSmall = 4096;            // elements: below, a block type saves nothing worth its error
constexpr int64_t kPieceElements = 1 << 22;

bool contains(std::string_view name, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](auto part) { return name.find(part) != std::string_view::npos; });
}

bool is_matrix(std::string_view name, const View& view) {
  if (contains(name, {"norm", "pos_embed", "mlp.gate.", "shared_expert_gate", "code_embedding"})) return false;
  if (view.shape.rank() == 3) return contains(name, {"experts.gate_up_proj", "experts.down_proj"});
  return view.shape.rank() == 2 && name.ends_with(".weight") && view.shape.elements() >= kSmall;
}

// Convolutions that are multiplied in bf16 when the model is quantised: code2wav's, but the one that makes the samples and
// those of one channel each. A transposed one has its inputs first.
bool is_vocoder_convolution(std::string_view name, const View& view) {
  if (!name.starts_with("code2wav.") || !name.ends_with("conv.weight") || view.shape.rank() != 3) return false;
  const bool transposed = name.find(".block.1.conv.") != name.npos || name.starts_with("code2wav.upsample.");
  return view.shape[0] > 1 && view.shape[1] > 1 && view.shape[transposed ? 0 : 1] % 2 == 0;
}

// llama.cpp's number for what most of the file is.
uint32_t file_type(DType type) {
  switch (type) {
    case DType::f16: return 1;
    case DType::q4_0: return 2;
    case DType::q8_0: return 7;
    case DType::bf16: return 32;
    default: return 0;
  }
}

bool gguf_holds(DType type) { return type != DType::u8 && type != DType::boolean; }

void encode(DType type, std::span<const float> values, std::byte* out) {
  if (tensor::is_quantized(type)) return tensor::quantize(type, values, out);
  if (type == DType::f32) return static_cast<void>(std::memcpy(out, values.data(), values.size_bytes()));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = type == DType::f16 ? tensor::f32_to_f16(values[i]) : tensor::f32_to_bf16(values[i]);
    std::memcpy(out + 2 * i, &bits, sizeof bits);
  }
}

// Encodes rows of one tensor, all threads together, and adds up what they lost.
class Encoder {
 public:
  explicit Encoder(QuantizedTensor& tensor) : tensor_(tensor) {}

  /// rows [R, C]; the result stays until the next call. False when values are not finite, before or after.
  bool encode_rows(const View& rows) {
    const int64_t count = rows.shape[0], cols = rows.shape[1];
    const size_t row_bytes = tensor::bytes_of(tensor_.to, cols);
    bytes_.resize(static_cast<size_t>(count) * row_bytes);
    sums_.assign(static_cast<size_t>(count), {});
    std::atomic<bool> finite = true;
    parallel_for(count, std::max<int64_t>(1, 4096 / cols), [&](int64_t begin, int64_t end) {
      std::vector<float> values(static_cast<size_t>(cols)), back(values.size());
      for (int64_t r = begin; r < end; ++r) {
        rows.row(r).to_f32(values);
        std::byte* out = bytes_.data() + static_cast<size_t>(r) * row_bytes;
        encode(tensor_.to, values, out);
        View{tensor_.to, {cols}, out}.to_f32(back);
        auto& [lost, all] = sums_[static_cast<size_t>(r)];
        for (size_t i = 0; i < values.size(); ++i) {
          const double difference = double(values[i]) - back[i];
          lost += difference * difference;
          all += double(values[i]) * values[i];
        }
        if (!std::isfinite(lost) || !std::isfinite(all)) finite = false;
      }
    });
    for (const auto& [lost, all] : sums_) {
      lost_ += lost;
      tensor_.magnitude += all;
    }
    tensor_.error = tensor_.magnitude > 0 ? std::sqrt(lost_ / tensor_.magnitude) : 0;
    return finite;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  QuantizedTensor& tensor_;
  std::vector<std::byte> bytes_;
  std::vector<std::pair<double, double>> sums_;  // by row, so that the sum does not depend on the threads
  double lost_ = 0;
};

Result<void> write_tensor(const View& view, QuantizedTensor& tensor, tensor::GgufWriter& writer) {
  if (view.bytes() == 0) return {};
  if (tensor.from == tensor.to) return writer.write({view.data, view.bytes()});
  const int64_t cols = view.shape.rank() > 0 ? view.shape[-1] : 1, rows = view.shape.elements() / cols;
  const View all = view.reshaped({rows, cols});
  Encoder encoder(tensor);
  const int64_t piece = std::max<int64_t>(1, kPieceElements / cols);
  for (int64_t begin = 0; begin < rows; begin += piece) {
    if (!encoder.encode_rows(all.slice(begin, std::min(piece, rows - begin)))) {
      return fail(ErrorCode::invalid_argument,
                  "tensor " + tensor.name + " has values that are not finite, or too large for " +
                      std::string(tensor::name_of(tensor.to)) + ": the checkpoint is damaged, or needs --type bf16",
                  tensor.name);
    }
    TRY_VOID(writer.write(encoder.bytes()));
  }
  return {};
}

}  // namespace

DType stored_type(std::string_view name, const View& view, DType type) {
  if (!tensor::is_float(view.dtype)) return view.dtype;
  if (type == DType::f32) return type;
  if (tensor::is_quantized(type) && is_vocoder_convolution(name, view)) return DType::bf16;
  if (!is_matrix(name, view)) return view.dtype;
  if (type == DType::q4_0 && contains(name, {"embed_tokens", "codec_embedding", "lm_head", "codec_head"})) type = DType::q8_0;
  return view.shape[-1] % tensor::block_elements(type) == 0 ? type : view.dtype;
}

Result<QuantizeReport> quantize_model(const ModelSource& source, DType type, const std::string& path) {
  if (source.text_only) {
    return fail(ErrorCode::unsupported, "a GGUF file of a text model is used as it is; quantize takes a checkpoint folder");
  }
  tensor::GgufFields fields = {{"general.architecture", std::string(kGgufArchitecture)},
                               {"general.file_type", file_type(type)},
                               {"general.quantization_version", uint32_t{2}},
                               {kGgufVersion, uint32_t{kGgufVersionNow}}};
  if (tensor::is_quantized(type)) fields.emplace_back(kGgufConvolutions, std::string("bf16"));
  for (const auto& [key, text, needed] : kGgufFileKeys) {
    if (!(source.files.*text).empty()) fields.emplace_back(key, source.files.*text);
  }
  QuantizeReport report;
  std::vector<tensor::GgufTensor> infos;
  for (const std::string& name : source.weights.names()) {
    const View view = source.weights.find(name);
    if (!gguf_holds(view.dtype)) {
      report.left_out.push_back(name);
      continue;
    }
    const DType to = stored_type(name, view, type);
    report.tensors.push_back({name, view.shape, view.dtype, to});
    Shape shape = view.shape;
    if (shape.rank() < 1 || shape.rank() > 4) {
      std::vector<int64_t> dims;
      for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
      fields.emplace_back(kGgufShape + name, dims);
      shape = {shape.elements()};
    }
    infos.push_back({name, to, shape});
  }
  TRY(auto writer, tensor::GgufWriter::create(path, fields, std::move(infos)));
  for (QuantizedTensor& tensor : report.tensors) TRY_VOID(write_tensor(source.weights.find(tensor.name), tensor, writer));
  TRY_VOID(writer.finish());
  return report;
}

}  // namespace calliope::model
