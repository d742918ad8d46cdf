// The training that a file describes itself: ModelProto.training_info (ONNX IR, "Training Related
// Information").
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "onnx_importer.h"

namespace onnxrun {

// Initializers that bindings name are state: inputs of the graphs that read them.
struct ImportedTraining {
  struct State {
    std::string name;
    Tensor initial;   // what the file has
    int stored = -1;  // which tensor of the file, by `source`
  };
  // One graph to run. Its first inputs and outputs are those that a caller sees.
  struct Procedure {
    explicit Procedure(Graph g) : graph(std::move(g)) {}

    Graph graph;
    size_t inputs = 0, outputs = 0;
    std::vector<size_t> reads;   // the states that the inputs behind are
    std::vector<size_t> writes;  // the states that the outputs behind become
  };

  std::vector<State> state;
  std::vector<Procedure> initializations;  // of those TrainingInfoProtos that have one
  std::vector<Procedure> steps;            // one for each: model and algorithm as one graph
  std::shared_ptr<const ModelSource> source;
};

// Reads what `file` says of training. No steps: it says nothing. Throws as import_model(), BadModel
// for a binding whose key is no initializer or stands in two of them, or whose value has another
// type.
ImportedTraining import_training(const ModelSource& file, const OpRegistry& registry,
                                 const ImportOptions& options = {});

}  // namespace onnxrun
