#include "openblas_report.h"

#include "base/error.h"
#include "kernels/openblas.h"

namespace onnxrun::tool {

OpenBlasReport openblas_report() {
  OpenBlasReport report;
  try {
    const OpenBlasFacts& facts = openblas_facts();
    report.text = fmt::format("{}, kernels for {}", facts.version, facts.core);
    report.document = {
        {"version", facts.version}, {"core", facts.core}, {"generic", facts.is_generic}};
    if (facts.is_generic) {
      report.advice = fmt::format(
          "OpenBLAS {} does not know this processor and takes it for {}: --products openblas is "
          "slow unless OPENBLAS_CORETYPE says what it is like (SkylakeX, Zen, Haswell)",
          facts.version, facts.core);
    }
  } catch (const Error& e) {
    report.text = fmt::format("none: {}", e.what());
  }
  return report;
}

}  // namespace onnxrun::tool
