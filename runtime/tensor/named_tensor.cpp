#include "tensor/named_tensor.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

void fail_unknown_key(const std::string& key, const std::vector<std::string>& names) {
  constexpr size_t shown = 20;
  std::vector<std::string> first(names.begin(), names.begin() + std::min(names.size(), shown));
  fail(ErrorKind::BadInput, "there is no array '{}'; {}{}{}", key,
       names.empty() ? "there are none" : "there are ", fmt::join(first, ", "),
       names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "");
}

}  // namespace onnxrun
