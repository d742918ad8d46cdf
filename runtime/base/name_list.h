// Names in messages.
#pragma once

#include <string>
#include <vector>

namespace onnxrun {

// "'a', 'b' and 3 more": for messages that say which names there are.
std::string name_list(const std::vector<std::string>& names, size_t limit = 20);

}  // namespace onnxrun
