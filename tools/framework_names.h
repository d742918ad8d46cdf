// Losses, optimizers and metrics by the names that PyTorch and Keras give them.
#pragma once

#include <string>

namespace onnxrun::tool {

// The name here: "mse" for "MSELoss", "adam" for "Adam", "accuracy" for "acc"; the text itself
// where nothing is known of it. keras:Adam keeps its prefix. What keeps its meaning only with
// arguments that the name does not tell (Keras's categorical_crossentropy) is not translated.
std::string loss_name(const std::string& text);
std::string optimizer_name(const std::string& text);
std::string metric_name(const std::string& text);

}  // namespace onnxrun::tool
