// Changes to a model file that leave everything else in it as it is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// Works on one ModelProto. All names are those of the main graph; what subgraphs read of it goes
// along. Throws BadInput for one that is not there.
class ModelEditor {
 public:
  // Throws BadModel if the bytes are no model.
  explicit ModelEditor(const std::string& model);
  ~ModelEditor();
  ModelEditor(const ModelEditor&) = delete;
  ModelEditor& operator=(const ModelEditor&) = delete;

  // A value (input, output, initializer, inner one) or, if there is none of this name, a node gets
  // another name. Throws Usage if a value has that already.
  void rename(const std::string& name, const std::string& new_name);

  // Leaves the part of the graph between these values. No inputs: those of the model that are
  // needed; no outputs: all of the model's. `type_of` gives the types of inner values. Throws
  // BadInput if the outputs need an input of the model that `inputs` leaves out.
  void extract(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
               const std::function<Type(const std::string&)>& type_of);

  // `dimension` is a symbolic one ("batch"), set wherever it stands, or an axis of an input
  // ("x:0"); `length` a number or the name of a symbolic one. Types of inner values and shapes of
  // outputs may be wrong then: declare() them.
  void set_dimension(const std::string& dimension, const std::string& length);

  // Declares the types of outputs, and of inner values as far as the model declared them, as those
  // of the values of this name in `graph`.
  void declare(const Graph& graph);

  // Everything that reads the input reads (input * scale - mean) / deviation instead; mean and
  // deviation are of the shape that this broadcasts to, or undefined. Throws BadInput if there is
  // no such input, Unsupported if it is no tensor of floats, an output as it is, or if the model's
  // operators do not broadcast yet (before opset 7).
  void prepare_input(const std::string& name, double scale, const Tensor& mean,
                     const Tensor& deviation);

  // An entry of the model's metadata, in place of the one of this key; "" removes it.
  void set_metadata(const std::string& key, const std::string& value);

  // What people wrote about the model: documentation, metadata, producer, taken from `other`.
  void describe_as(const ModelEditor& other);

  // In wire form. Throws CannotWrite for more than 2 GiB.
  std::string bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace onnxrun
