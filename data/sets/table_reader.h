// Tables that stay in their files.
#pragma once

#include <memory>
#include <string>

#include "sets/sample_reader.h"
#include "tensor/byte_source.h"

namespace onnxrun {

// The columns of a table of comma-separated values that `key` selects ("" is all), as CsvTable has
// them: [rows, columns], of a single selected column [rows], bool, int64 or double. The file is
// read once to find its rows, of which eight bytes each are kept. Throws BadInput as CsvTable does,
// and for columns of text.
std::shared_ptr<const SampleReader> open_table(DataFile file, const std::string& key,
                                               char separator);

}  // namespace onnxrun
