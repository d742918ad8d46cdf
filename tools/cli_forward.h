// CLI11's names without its headers.
#pragma once

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI
