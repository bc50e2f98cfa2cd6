// Times the executor on a synthetic checkpoint beside plain reading and writing of as many bytes.
//
//   bench_execute FOLDER [RUNS] [THREADS] [FILTER]
//
// FOLDER gets a source of about 2.5 GB (kept for the next run) and the outputs (removed). Each row is the fastest of
// RUNS.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "execute/execute.h"
#include "execute/plan_check.h"
#include "quantize/quantize.h"
#include "source/safetensors_writer.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

struct Matrix {
  std::string name;
  Shape shape;
};

// The shapes of a Llama with 1.2 billion parameters, and a stack of experts.
std::vector<Matrix> dense_model() {
  std::vector<Matrix> matrices{{"embed", {128256, 2048}}};
  for (int layer = 0; layer < 16; layer++) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    matrices.push_back({prefix + "down", {2048, 8192}});
    matrices.push_back({prefix + "gate", {8192, 2048}});
    matrices.push_back({prefix + "k", {512, 2048}});
    matrices.push_back({prefix + "norm", {2048}});
    matrices.push_back({prefix + "o", {2048, 2048}});
    matrices.push_back({prefix + "q", {2048, 2048}});
    matrices.push_back({prefix + "up", {8192, 2048}});
    matrices.push_back({prefix + "v", {512, 2048}});
  }
  std::sort(matrices.begin(), matrices.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return matrices;
}

void write_source(const fs::path& folder, const std::vector<Matrix>& matrices) {
  if (fs::exists(folder / "model.safetensors")) return;
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << "{}";
  std::vector<SafetensorsTensor> rows;
  rows.reserve(matrices.size());
  for (const auto& matrix : matrices) rows.push_back({matrix.name, DType::BF16, matrix.shape});
  std::ofstream file(folder / "unfinished", std::ios::binary);
  file << safetensors_header(rows, {});
  // Noise of about the size of weights: random mantissas, exponents that fall off.
  std::vector<uint16_t> noise(size_t{1} << 20);
  uint64_t state = 1;
  for (auto& value : noise) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto bits = static_cast<uint32_t>(state >> 32);
    const int exponent = 121 - __builtin_clz(bits | 1);
    value = static_cast<uint16_t>((bits & 1 ? 0x8000 : 0) | (exponent << 7) | (bits >> 1 & 0x7f));
  }
  for (const auto& matrix : matrices) {
    auto left = static_cast<size_t>(element_count(matrix.shape));
    while (left > 0) {
      const size_t count = std::min(left, noise.size());
      file.write(reinterpret_cast<const char*>(noise.data()), static_cast<std::streamsize>(count * 2));
      left -= count;
    }
  }
  file.close();
  fs::rename(folder / "unfinished", folder / "model.safetensors");
}

using MakeValue = std::function<RecipePtr(RecipePtr)>;

// One job a matrix, in one shard.
Plan plan_of(const Checkpoint& source, const std::optional<QuantFormat>& format, const MakeValue& make_value) {
  Plan plan;
  uint64_t offset = 0;
  for (uint32_t i = 0; i < source.tensors().size(); i++) {
    const TensorInfo& info = source.tensors()[i];
    Job job;
    job.value = make_value(from_source(i, info.dtype, info.shape));
    if (info.shape.size() == 2) job.quantize = format;
    const int parts = !job.quantize ? 1 : row_of(format->mode).has_biases ? 3 : 2;
    const int64_t elements = element_count(job.value->shape);
    for (int p = 0; p < parts; p++)
      job.outputs.push_back(static_cast<uint32_t>(plan.outputs.size() + static_cast<size_t>(p)));
    for (const PartLayout& part : parts_of(job)) {
      const auto size = static_cast<uint64_t>(elements / part.elements * part.bytes);
      plan.outputs.push_back({info.name, part.dtype, {}, 0, offset, size});
      offset += size;
    }
    plan.jobs.push_back(std::move(job));
  }
  plan.shards.push_back({"model.safetensors", "", offset});
  return plan;
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Reads `read` bytes of a file and writes `written` bytes to another, in blocks of 1 MB, each thread its share.
void copy_plainly(const fs::path& from, const fs::path& to, uint64_t read, uint64_t written, int threads) {
  constexpr uint64_t block = 1 << 20;
  const int in = ::open(from.c_str(), O_RDONLY);
  const int out = ::open(to.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0666);
  std::vector<std::thread> workers;
  workers.reserve(static_cast<size_t>(threads));
  for (int t = 0; t < threads; t++) {
    workers.emplace_back([&, t] {
      std::vector<char> buffer(block);
      uint64_t done = 0;
      const auto share = [&](uint64_t size, int i) {
        return size / static_cast<uint64_t>(threads) * static_cast<uint64_t>(i);
      };
      const uint64_t write_begin = share(written, t);
      const uint64_t write_end = t + 1 == threads ? written : share(written, t + 1);
      const uint64_t read_end = t + 1 == threads ? read : share(read, t + 1);
      for (uint64_t at = share(read, t); at < read_end; at += block) {
        if (::pread(in, buffer.data(), std::min(block, read_end - at), static_cast<off_t>(at)) < 0) std::abort();
        const uint64_t due = static_cast<uint64_t>(static_cast<double>(write_end - write_begin) *
                                                   static_cast<double>(at - share(read, t) + block) /
                                                   static_cast<double>(read_end - share(read, t)));
        while (write_begin + done + block <= std::min(write_end, write_begin + due)) {
          if (::pwrite(out, buffer.data(), block, static_cast<off_t>(write_begin + done)) < 0) std::abort();
          done += block;
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  ::close(in);
  ::close(out);
}

struct Row {
  std::string name;
  uint64_t read, written;
  std::function<void()> work;
};

void print_row(const Row& row, int runs, double& baseline) {
  double best = 1e9;
  double processor = 0;
  for (int run = 0; run < runs; run++) {
    const double before = processor_seconds();
    const double wall = seconds_of(row.work);
    if (wall < best) {
      best = wall;
      processor = processor_seconds() - before;
    }
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  if (baseline == 0) baseline = best;
  std::printf("%-34s %7.3f s  cpu %7.3f s  read %6.2f GB/s  written %5.2f GB  peak %4ld MB\n", row.name.c_str(), best,
              processor, static_cast<double>(row.read) / best / 1e9, static_cast<double>(row.written) / 1e9,
              usage.ru_maxrss / 1024);
  std::fflush(stdout);
}

RecipePtr transposed(const RecipePtr& input) {
  return input->shape.size() == 2 ? *transpose(input, {1, 0}) : input;
}

int run_benchmark(const fs::path& folder, int runs, int threads, const std::string& filter) {
  write_source(folder / "source", dense_model());
  auto opened = Checkpoint::open(folder / "source", FileSelection::mlx_lm);
  if (!opened) throw std::runtime_error(opened.error().message());
  const Checkpoint source = std::move(*opened);
  const fs::path output = folder / "output";
  fs::create_directories(output);
  const uint64_t size = source.files()[0]->size();
  const fs::path model = folder / "source" / "model.safetensors";

  std::vector<Row> rows;
  const auto add_plain = [&](const std::string& name, uint64_t written, int count) {
    rows.push_back({name, size, written,
                    [&, written, count] { copy_plainly(model, output / "model.safetensors", size, written, count); }});
  };
  const auto add = [&](const std::string& name, const std::optional<QuantFormat>& format, const MakeValue& make_value) {
    auto plan = std::make_shared<Plan>(plan_of(source, format, make_value));
    rows.push_back({name, size, plan->shards[0].size, [&, plan] {
                      ExecuteOptions options;
                      options.threads = threads;
                      const auto report = execute(*plan, source, output, options);
                      if (!report) throw std::runtime_error(report.error().message());
                    }});
  };
  const QuantFormat four{QuantMode::affine, 4, 64};
  const auto same = [](const RecipePtr& x) { return x; };
  const uint64_t four_size = plan_of(source, four, same).shards[0].size;
  add_plain("read only, 1 thread", 0, 1);
  add_plain("plain, as 4 bits, 1 thread", four_size, 1);
  add_plain("plain, as 4 bits, " + std::to_string(threads) + " threads", four_size, threads);
  add("affine 4 bits, group 64", four, same);
  add("affine 8 bits, group 64", QuantFormat{QuantMode::affine, 8, 64}, same);
  add("mxfp4", QuantFormat{QuantMode::mxfp4, 4, 32}, same);
  add("cast to F16, affine 4 bits", four, [](const RecipePtr& x) { return cast(x, DType::F16); });
  add("transpose, affine 4 bits", four, transposed);
  add_plain("plain copy, 1 thread", size, 1);
  add_plain("plain copy, " + std::to_string(threads) + " threads", size, threads);
  add("copy", std::nullopt, same);
  add("cast to F16", std::nullopt, [](const RecipePtr& x) { return cast(x, DType::F16); });
  add("transpose", std::nullopt, transposed);

  std::printf("%.2f GB, %d threads, kernels: %s\n", static_cast<double>(size) / 1e9, threads, kernel_isa());
  double baseline = 0;
  for (const Row& row : rows) {
    if (row.name.find(filter) == std::string::npos) continue;
    print_row(row, runs, baseline);
    fs::remove_all(output);
    fs::create_directories(output);
  }
  fs::remove_all(output);
  return 0;
}

}  // namespace
}  // namespace pippin

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: bench_execute FOLDER [RUNS] [THREADS] [FILTER]\n");
    return 2;
  }
  const int runs = count > 2 ? std::atoi(arguments[2]) : 3;
  const int threads = count > 3 ? std::atoi(arguments[3]) : static_cast<int>(std::thread::hardware_concurrency());
  try {
    return pippin::run_benchmark(arguments[1], runs, threads, count > 4 ? arguments[4] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
