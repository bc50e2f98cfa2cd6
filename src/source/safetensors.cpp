#include "source/safetensors.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "source/foreign_file.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t longest_header = 100'000'000;  // the format's own limit
constexpr uint64_t length_bytes = 8;
constexpr std::string_view broken = "the file is damaged or incomplete: download it again";

// Data types of the format that MLX has no equal of.
constexpr std::array<std::string_view, 6> foreign_dtypes{"F4",  "F6_E2M3",     "F6_E3M2",
                                                         "C64", "F8_E4M3FNUZ", "F8_E5M2FNUZ"};

tl::unexpected<Error> bad_header(std::string rule, std::string value) {
  return fail(ErrorTag::bad_file, std::move(rule), std::move(value), std::string(broken));
}

// Turns one header's JSON into entries. Offsets are relative to the data until finish().
class HeaderReader {
 public:
  HeaderReader(std::string_view where, uint64_t header_size, uint64_t data_size)
      : where_(where), data_begin_(length_bytes + header_size), data_size_(data_size) {}

  Result<SafetensorsHeader> read(const simdjson::padded_string& text) {
    dom::parser parser;
    dom::element root;
    if (const auto error = parser.parse(text).get(root)) return not_json(error);
    dom::object object;
    if (root.get(object) != simdjson::SUCCESS) {
      return bad_header("a safetensors header is a JSON object",
                        fmt::format("{}: the header is another JSON value", where_));
    }
    std::unordered_set<std::string_view> names(object.size());
    header_.entries.reserve(object.size());
    for (const auto field : object) {
      if (!names.insert(field.key).second) {
        return bad_header("a tensor's name stands once in a header",
                          fmt::format("{}: {} twice", where_, in_quotes(field.key)));
      }
      if (field.key == "__metadata__")
        PIPPIN_CHECK(read_metadata(field.value));
      else
        PIPPIN_CHECK(read_entry(field.key, field.value));
    }
    PIPPIN_CHECK(finish());
    return std::move(header_);
  }

 private:
  [[nodiscard]] std::string at(std::string_view name) const { return fmt::format("{}: {}", where_, in_quotes(name)); }

  tl::unexpected<Error> not_json(simdjson::error_code error) const {
    if (error == simdjson::UTF8_ERROR)
      return bad_header("a header is UTF-8", fmt::format("{}: the header is not", where_));
    if (error == simdjson::NUMBER_ERROR) {
      return bad_header("numbers of a header fit 64 bits",
                        fmt::format("{}: the header holds one that does not", where_));
    }
    return bad_header("a safetensors file has a JSON header",
                      fmt::format("{}: {}", where_, simdjson::error_message(error)));
  }

  Status read_metadata(dom::element value) {
    if (value.is_null()) return {};
    dom::object object;
    if (value.get(object) != simdjson::SUCCESS) {
      return bad_header("__metadata__ is an object of strings",
                        fmt::format("{}: __metadata__ is another value", where_));
    }
    header_.metadata = nlohmann::ordered_json::object();
    auto& map = header_.metadata.get_ref<nlohmann::ordered_json::object_t&>();
    std::unordered_set<std::string_view> keys;
    for (const auto field : object) {
      std::string_view text;
      if (field.value.get(text) != simdjson::SUCCESS) {
        return bad_header("__metadata__ is an object of strings",
                          fmt::format("{}: __metadata__ {} is no string", where_, in_quotes(field.key)));
      }
      if (!keys.insert(field.key).second) {
        return bad_header("a key stands once in __metadata__",
                          fmt::format("{}: {} twice", where_, in_quotes(field.key)));
      }
      map.emplace_back(std::string(field.key), std::string(text));
    }
    return {};
  }

  Status read_entry(std::string_view name, dom::element value) {
    dom::object object;
    if (value.get(object) != simdjson::SUCCESS) {
      return bad_header("a tensor's entry is an object", fmt::format("{} is another JSON value", at(name)));
    }
    SafetensorsEntry entry{std::string(name), DType::U8, {}, 0, 0};
    bool has_dtype = false;
    bool has_shape = false;
    bool has_offsets = false;
    const auto first = [](bool& seen) { return !std::exchange(seen, true); };
    for (const auto field : object) {
      bool is_new = true;
      if (field.key == "dtype") {
        is_new = first(has_dtype);
        PIPPIN_CHECK(read_dtype(name, field.value, entry));
      } else if (field.key == "shape") {
        is_new = first(has_shape);
        PIPPIN_CHECK(read_shape(name, field.value, entry));
      } else if (field.key == "data_offsets") {
        is_new = first(has_offsets);
        PIPPIN_CHECK(read_offsets(name, field.value, entry));
      }
      if (!is_new) {
        return bad_header("a key stands once in a tensor's entry", fmt::format("{}: {} twice", at(name), field.key));
      }
    }
    if (!has_dtype || !has_shape || !has_offsets) {
      return bad_header("a tensor has dtype, shape and data_offsets", fmt::format("{} has no {}", at(name),
                                                                                  !has_dtype   ? "dtype"
                                                                                  : !has_shape ? "shape"
                                                                                               : "data_offsets"));
    }
    PIPPIN_CHECK(check_size(entry));
    header_.entries.push_back(std::move(entry));
    return {};
  }

  Status read_dtype(std::string_view name, dom::element value, SafetensorsEntry& entry) const {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) {
      return bad_header("a tensor's dtype is a string", fmt::format("{} has a dtype of another kind", at(name)));
    }
    if (const auto dtype = dtype_of(text)) {
      entry.dtype = *dtype;
      return {};
    }
    if (std::ranges::find(foreign_dtypes, text) != foreign_dtypes.end()) {
      return fail(ErrorTag::unsupported, "pippin reads the data types that MLX knows",
                  fmt::format("{} has dtype {}", at(name), in_quotes(text)),
                  "convert from a BF16, F16 or F32 version of the model");
    }
    return bad_header("a dtype is one of the safetensors format",
                      fmt::format("{} has dtype {}", at(name), in_quotes(text)));
  }

  Status read_shape(std::string_view name, dom::element value, SafetensorsEntry& entry) const {
    dom::array array;
    if (value.get(array) != simdjson::SUCCESS) {
      return bad_header("a tensor's shape is an array", fmt::format("{} has a shape of another kind", at(name)));
    }
    entry.shape.clear();
    for (const auto dimension : array) {
      int64_t size = 0;
      if (dimension.get(size) != simdjson::SUCCESS || size < 0) {
        return bad_header("a shape's dimensions are integers from 0 to 2^63 - 1",
                          fmt::format("{} has dimension {}", at(name), short_text(dimension)));
      }
      entry.shape.push_back(size);
    }
    return {};
  }

  Status read_offsets(std::string_view name, dom::element value, SafetensorsEntry& entry) const {
    constexpr const char* rule = "data_offsets are two integers, begin and end, with begin <= end";
    dom::array array;
    if (value.get(array) != simdjson::SUCCESS || array.size() != 2) {
      return bad_header(rule, fmt::format("{} has data_offsets {}", at(name), short_text(value)));
    }
    uint64_t begin = 0;
    uint64_t end = 0;
    if (array.at(0).get(begin) != simdjson::SUCCESS || array.at(1).get(end) != simdjson::SUCCESS || end < begin) {
      return bad_header(rule, fmt::format("{} has data_offsets {}", at(name), short_text(value)));
    }
    if (end > data_size_) {
      return bad_header("a tensor's bytes lie inside its file",
                        fmt::format("{} ends at byte {} of the data, the file has {}", at(name), end, data_size_));
    }
    entry.offset = begin;
    entry.size = end - begin;
    return {};
  }

  Status check_size(const SafetensorsEntry& entry) const {
    const auto count = checked_element_count(entry.shape);
    uint64_t bytes = 0;
    if (!count || __builtin_mul_overflow(static_cast<uint64_t>(*count), size_of(entry.dtype), &bytes)) {
      return bad_header("a tensor's size fits 64 bits",
                        fmt::format("{} has shape {}", at(entry.name), short_text(to_string(entry.shape))));
    }
    if (bytes != entry.size) {
      return bad_header("a tensor's bytes match its dtype and shape",
                        fmt::format("{} is {} {}, which takes {} bytes, and has {}", at(entry.name),
                                    name_of(entry.dtype), short_text(to_string(entry.shape)), bytes, entry.size));
    }
    return {};
  }

  // Sorts the entries by place and checks that they cover the data without gap or overlap.
  Status finish() {
    auto& entries = header_.entries;
    const auto before_in_file = [](const auto& a, const auto& b) {
      return std::tie(a.offset, a.size, a.name) < std::tie(b.offset, b.size, b.name);
    };
    if (!std::ranges::is_sorted(entries, before_in_file)) std::ranges::sort(entries, before_in_file);
    uint64_t covered = 0;
    const SafetensorsEntry* before = nullptr;
    for (auto& entry : entries) {
      if (entry.offset != covered) {
        const bool overlaps = entry.offset < covered;
        return bad_header(overlaps ? "tensors do not overlap" : "the data has no holes",
                          fmt::format("{} begins at byte {} of the data, {} ends at {}", at(entry.name), entry.offset,
                                      before ? in_quotes(before->name) : "the header", covered));
      }
      covered += entry.size;
      before = &entry;
      entry.offset += data_begin_;
    }
    if (covered != data_size_) {
      return bad_header("a file ends with its last tensor",
                        fmt::format("{}: {} bytes follow the last tensor", where_, data_size_ - covered));
    }
    return {};
  }

  static std::string short_text(std::string text) {
    constexpr size_t longest = 80;
    if (text.size() > longest) text = text.substr(0, longest) + "...";
    return text;
  }
  static std::string short_text(dom::element value) { return short_text(simdjson::minify(value)); }

  std::string_view where_;
  uint64_t data_begin_;
  uint64_t data_size_;
  SafetensorsHeader header_;
};

uint64_t little_endian(const std::array<std::byte, length_bytes>& bytes) {
  uint64_t value = 0;
  for (size_t i = length_bytes; i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(bytes[i]);
  return value;
}

// Explains a file that cannot be safetensors by what its first bytes show, or else by `otherwise`.
tl::unexpected<Error> not_safetensors(const ByteSource& file, Error otherwise) {
  std::string begin(std::min<uint64_t>(file.size(), foreign_file_probe), '\0');
  PIPPIN_CHECK(file.read(0, std::as_writable_bytes(std::span(begin))));
  if (auto foreign = error_of_foreign_file(begin, file.name())) return tl::unexpected<Error>(std::move(*foreign));
  return tl::unexpected<Error>(std::move(otherwise));
}

tl::unexpected<Error> not_safetensors(const ByteSource& file, std::string rule, std::string value) {
  return not_safetensors(file, Error{ErrorTag::bad_file, std::move(rule), std::move(value), std::string(broken), {}});
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::string_view header, uint64_t data_size,
                                                   std::string_view where) {
  return HeaderReader(where, header.size(), data_size).read(simdjson::padded_string(header));
}

Result<SafetensorsHeader> read_safetensors_header(const ByteSource& file) {
  if (file.size() < length_bytes) {
    return not_safetensors(file, "a safetensors file begins with the 8-byte length of its header",
                           fmt::format("{} has {} bytes", file.name(), file.size()));
  }
  std::array<std::byte, length_bytes> length_field{};
  PIPPIN_CHECK(file.read(0, length_field));
  const uint64_t length = little_endian(length_field);
  const uint64_t rest = file.size() - length_bytes;
  if (length > longest_header) {
    return not_safetensors(file, fmt::format("a safetensors header has at most {} bytes", longest_header),
                           fmt::format("{} says its header has {} bytes", file.name(), length));
  }
  if (length > rest) {
    return not_safetensors(
        file, "a safetensors header lies inside its file",
        fmt::format("{} says its header has {} bytes and has {} bytes after the length", file.name(), length, rest));
  }
  simdjson::padded_string text(length);
  PIPPIN_CHECK(file.read(length_bytes, std::as_writable_bytes(std::span(text.data(), length))));
  return HeaderReader(file.name(), length, rest - length).read(text);
}

}  // namespace pippin
