#include "base/shared_library.h"

#include <dlfcn.h>

#include "base/error.h"

namespace onnxrun {

SharedLibrary::SharedLibrary(const char* name, std::string missing)
    : SharedLibrary(std::vector{name}, std::move(missing)) {}

SharedLibrary::SharedLibrary(const std::vector<const char*>& names, std::string missing)
    : missing_(std::move(missing)), handle_(nullptr) {
  for (const char* name : names) {
    if (!handle_) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (!handle_) fail(ErrorKind::Unsupported, "{}", missing_);
}

void* SharedLibrary::address_of(const char* function) const {
  void* address = dlsym(handle_, function);
  if (!address) fail(ErrorKind::Unsupported, "{}", missing_);
  return address;
}

}  // namespace onnxrun
