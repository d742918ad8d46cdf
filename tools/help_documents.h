// The manual, from the tables of options.
#pragma once

#include <string>

#include "command_list.h"

namespace onnxrun::tool {

// The page onnxrun(1), and onnxrun-COMMAND(1), in the language of man.
std::string man_page();
std::string man_page(const CommandInfo& info);

// docs/cli.md: all commands, common options once.
std::string markdown();

}  // namespace onnxrun::tool
