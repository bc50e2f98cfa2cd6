// The YAML block at the head of a model card, edited by lines so that all that is not set stays as its author wrote it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pippin {

// Top-level keys with their lines. Only block mappings are understood, which is what model cards have; comments,
// quoting, multi-line values and order are kept. Line ends become LF.
class FrontMatter {
 public:
  // The block between the "---" lines at the begin of a README. Nothing where there is none, or where it is no UTF-8 or
  // not a block mapping.
  static std::optional<FrontMatter> of_readme(std::string_view readme);

  // Whether a text begins with a "---" line, well-formed or not.
  static bool is_begun_by(std::string_view readme);

  // Whether the key is there with a value other than null.
  [[nodiscard]] bool has(std::string_view key) const;

  // A value on one line, unquoted; nothing for a list, a multi-line value or a missing key.
  [[nodiscard]] std::optional<std::string> scalar(std::string_view key) const;

  // Sets a key to one value, in its place, or at the end where it is new.
  void set(std::string_view key, std::string_view value);

  // Makes sure that a list holds a value; a single value becomes a list, anything stranger is replaced by one.
  void add_to_list(std::string_view key, std::string_view value);

  // "---\n...---\n"
  [[nodiscard]] std::string text() const;

 private:
  struct Field {
    std::string key;                 // empty: the comments before the first key
    std::vector<std::string> lines;  // the first holds the key
    size_t value_lines = 0;          // without the blank and comment lines after the value
  };

  [[nodiscard]] const Field* find(std::string_view key) const;
  void replace(std::string_view key, std::vector<std::string> lines);

  std::vector<Field> fields_;
};

// A text as a YAML value: plain where that reads back as the same text, else in double quotes.
std::string yaml_scalar(std::string_view text);

}  // namespace pippin
