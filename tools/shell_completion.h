// Completion scripts for shells, from the tables of options.
#pragma once

#include <string>

namespace onnxrun::tool {

// Each completes commands, their options, file names, and values where an option has a list of
// them.
std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

}  // namespace onnxrun::tool
