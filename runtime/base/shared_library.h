// Libraries that are loaded when they are first needed: a program that needs none of them starts
// without them and theirs.
#pragma once

#include <string>
#include <vector>

namespace onnxrun {

// Stays loaded until the process ends.
class SharedLibrary {
 public:
  // `name` as the linker knows it, "libtiff.so.6". Throws Unsupported with the text `missing` where
  // it is not there, and from find() where it lacks a function.
  SharedLibrary(const char* name, std::string missing);
  // The first of these names that is there.
  SharedLibrary(const std::vector<const char*>& names, std::string missing);

  // The function of this name; F is a pointer to its type.
  template <typename F>
  F find(const char* function) const {
    return reinterpret_cast<F>(address_of(function));
  }

 private:
  void* address_of(const char* function) const;

  std::string missing_;
  void* handle_;
};

}  // namespace onnxrun
