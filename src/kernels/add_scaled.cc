#include "kernels/add_scaled.h"

namespace calliope::kernels {

void add_scaled(tensor::ConstRows a, const tensor::View& scale, tensor::Rows x) {
  CHECK(a.rows == x.rows && a.cols == x.cols && scale.shape.elements() == x.cols);
  for (int64_t i = 0; i < x.cols; ++i) {
    const float factor = scale.at(i);
    for (int64_t t = 0; t < x.rows; ++t) x.row(t)[i] += factor * a.row(t)[i];
  }
}

}  // namespace calliope::kernels
