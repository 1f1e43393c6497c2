#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model_source.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// One tensor as it was written.
struct QuantizedTensor {
  std::string name;
  tensor::Shape shape;
  tensor::DType from = tensor::DType::f32, to = tensor::DType::f32;
  double error = 0;      ///< root of sum (value - stored)^2 / sum value^2; 0 for a tensor of zeros
  double magnitude = 0;  ///< sum value^2; 0 when stored as it was
};

struct QuantizeReport {
  std::vector<QuantizedTensor> tensors;
  std::vector<std::string> left_out;  ///< of types no part of a model reads
};

/// The type a tensor is stored in when its model is written as `type` (f32, f16, bf16, q8_0 or q4_0). Matrices of linear
/// layers, experts and embeddings become `type`; norms, biases, convolutions, routers, position tables, codebooks, what
/// is small and what has rows of no whole number of blocks stay as they are. With q8_0 and q4_0 the vocoder's convolutions
/// become bf16 (but the last and those of one channel each); with q4_0, embeddings and output heads become q8_0. With f32
/// everything becomes f32.
tensor::DType stored_type(std::string_view name, const tensor::View& view, tensor::DType type);

/// Writes the whole model - weights, config, tokenizer, processors, chat template - to one GGUF file that
/// open_model_source reads. Takes memory for a piece of one tensor at a time. Errors: io; unsupported for a GGUF file of a text model;
/// invalid_argument for values that are not finite or do not fit into the type.
Result<QuantizeReport> quantize_model(const ModelSource& source, tensor::DType type, const std::string& path);

}  // namespace calliope::model
