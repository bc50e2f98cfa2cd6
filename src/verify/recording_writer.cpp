#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "verify/recording.h"

namespace pippin {

// A file without a name: written at its end, read anywhere.
class RecordingWriter::File : public ByteSource {
 public:
  File(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  ~File() override { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Status append(const void* data, size_t size) {
    const auto* at = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = ::write(descriptor_, at, size);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        return fail(errno == ENOSPC ? ErrorTag::no_space : ErrorTag::io, "activations are kept in a temporary file",
                    name_ + ": " + std::strerror(errno),
                    "set TMPDIR to a folder with more room, or give fewer prompts");
      }
      at += written;
      size -= static_cast<size_t>(written);
      size_ += static_cast<uint64_t>(written);
    }
    return {};
  }

  [[nodiscard]] Status read(uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return fail(ErrorTag::io, "what was written can be read again", name_);
      offset += static_cast<uint64_t>(got);
      out = out.subspan(static_cast<size_t>(got));
    }
    return {};
  }
  void will_need(uint64_t /*offset*/, uint64_t /*size*/) const override {}
  void done_with(uint64_t /*offset*/, uint64_t /*size*/) const override {}
  [[nodiscard]] std::string identity() const override { return name_; }
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  int descriptor_;
  std::string name_;
  uint64_t size_ = 0;
};

RecordingWriter::RecordingWriter(std::unique_ptr<File> file) : file_(std::move(file)) {}
RecordingWriter::RecordingWriter(RecordingWriter&&) noexcept = default;
RecordingWriter& RecordingWriter::operator=(RecordingWriter&&) noexcept = default;
RecordingWriter::~RecordingWriter() = default;

Result<RecordingWriter> RecordingWriter::make() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  std::string path = (folder / "pippin-activations-XXXXXX").string();
  const int descriptor = error ? -1 : mkstemp(path.data());
  if (descriptor < 0)
    return fail(ErrorTag::io, "activations are kept in a temporary file", path + " cannot be made",
                "set TMPDIR to a folder that can be written");
  unlink(path.c_str());
  return RecordingWriter(std::make_unique<File>(descriptor, folder.string()));
}

Status RecordingWriter::append(const std::string& name, DType dtype, const void* data, size_t size, Shape shape) {
  if (entries_.empty() || entries_.back().name != name) {
    entries_.push_back({name, dtype, std::move(shape), file_->size(), 0});
  } else {
    entries_.back().shape.front() += shape.front();
  }
  entries_.back().size += size;
  return file_->append(data, size);
}

Status RecordingWriter::add_ids(size_t prompt, std::span<const int32_t> ids) {
  return append(ids_name(prompt), DType::I32, ids.data(), ids.size_bytes(), {static_cast<int64_t>(ids.size())});
}

Status RecordingWriter::add(const std::string& name, std::span<const float> values, int64_t width) {
  return append(name, DType::F32, values.data(), values.size_bytes(),
                {static_cast<int64_t>(values.size()) / width, width});
}

Result<Recording> RecordingWriter::finish() && {
  return Recording::make(std::move(entries_), std::move(file_));
}

}  // namespace pippin
