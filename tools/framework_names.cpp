#include "framework_names.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "training/loss.h"
#include "training/metrics.h"
#include "training/optimizer.h"

namespace onnxrun::tool {

namespace {

// Lower case without separators and an ending that says nothing.
std::string folded(const std::string& text, const std::string& ending) {
  std::string result;
  for (char c : text) {
    if (c != '_' && c != '-') {
      result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  if (result.size() > ending.size() && !ending.empty() && result.ends_with(ending)) {
    result.resize(result.size() - ending.size());
  }
  return result;
}

template <typename List>
std::string translated(const std::string& text, const std::string& ending, const List& list,
                       const std::map<std::string, std::string>& others) {
  for (const auto& info : list) {
    if (info.name == text) return text;
  }
  std::string key = folded(text, ending);
  for (const auto& info : list) {
    if (folded(std::string(info.name), "") == key) return std::string(info.name);
  }
  auto it = others.find(key);
  return it == others.end() ? text : it->second;
}

}  // namespace

std::string loss_name(const std::string& text) {
  return translated(text, "loss", loss_list(),
                    {{"l1", "mae"},
                     {"meanabsoluteerror", "mae"},
                     {"meansquarederror", "mse"},
                     {"smoothl1", "huber"},
                     {"binarycrossentropy", "bce"},
                     {"binarycrossentropywithlogits", "bce_with_logits"},
                     {"kldiv", "kl"},
                     {"kldivergence", "kl"}});
}

std::string optimizer_name(const std::string& text) {
  return translated(text, "optimizer", optimizer_list(), {});
}

std::string metric_name(const std::string& text) {
  return translated(text, "", metric_list(),
                    {{"acc", "accuracy"},
                     {"meanabsoluteerror", "mae"},
                     {"meansquarederror", "mse"},
                     {"rootmeansquarederror", "rmse"},
                     {"r2score", "r2"},
                     {"rocauc", "auc"}});
}

}  // namespace onnxrun::tool
