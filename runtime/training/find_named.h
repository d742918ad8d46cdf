// Losses, optimizers and metrics by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/nearest.h"

namespace onnxrun {

// The element of `list` whose field `name` this is. Throws Usage, naming `what` and listing the
// names there are.
template <typename Info>
const Info& find_named(const std::vector<Info>& list, std::string_view name,
                       std::string_view what) {
  std::string names;
  std::vector<std::string> all;
  for (const Info& info : list) {
    if (info.name == name) return info;
    all.emplace_back(info.name);
    names += (names.empty() ? "" : ", ") + all.back();
  }
  std::string near = nearest(std::string(name), all);
  fail(ErrorKind::Usage, "there is no {} '{}'{}; there are {}", what, name,
       near.empty() ? "" : " (did you mean '" + near + "'?)", names);
}

}  // namespace onnxrun
