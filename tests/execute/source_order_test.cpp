// Sources that arrive from begin to end: the order of reads, and when bytes are not needed any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "execute/execute.h"
#include "ghost/temporary_folder.h"
#include "tiny_plan.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Event {
  char kind;  // 'a'nnounced, 'r'ead, 'e'nded
  uint64_t offset, size;
  bool operator==(const Event&) const = default;
};

class Recorder final : public ByteSource {
 public:
  Recorder(const ByteSource& file, std::vector<Event>& events) : file_(file), events_(events) {}
  Status read(uint64_t offset, std::span<std::byte> out) const override {
    add('r', offset, out.size());
    return file_.read(offset, out);
  }
  void will_need(uint64_t, uint64_t) const override {}
  void done_with(uint64_t, uint64_t) const override {}
  void announce_use(uint64_t offset, uint64_t size) const override { add('a', offset, size); }
  void end_use(uint64_t offset, uint64_t size) const override { add('e', offset, size); }
  std::string identity() const override { return file_.identity(); }
  uint64_t size() const override { return file_.size(); }
  const std::string& name() const override { return file_.name(); }

 private:
  void add(char kind, uint64_t offset, uint64_t size) const {
    const std::lock_guard lock(mutex_);
    events_.push_back({kind, offset, size});
  }
  const ByteSource& file_;
  std::vector<Event>& events_;
  mutable std::mutex mutex_;
};

TEST(SourceOrder, BlocksAreTakenAsTheirBytesStandInTheFile) {
  const std::vector<TinyTensor> tensors{{"a", DType::U8, {8}, Bytes(8, std::byte{1})},
                                        {"b", DType::U8, {16}, Bytes(16, std::byte{2})},
                                        {"c", DType::U8, {24}, Bytes(24, std::byte{3})}};
  const TinyCheckpoint tiny(tensors);
  const Plan plan = tiny_plan({{"out0", tiny.tensor(2)}, {"out1", tiny.tensor(0)}, {"out2", tiny.tensor(1)}});
  auto opened = Checkpoint::open(tiny.file().parent_path(), FileSelection::mlx_lm);
  ASSERT_TRUE(opened);
  std::vector<Event> events;
  std::vector<std::unique_ptr<ByteSource>> sources;
  sources.push_back(std::make_unique<Recorder>(*tiny.checkpoint().files()[0], events));
  opened->take_sources(std::move(sources));

  const TemporaryFolder folder;
  ExecuteOptions options;
  options.threads = 1;
  options.in_source_order = true;
  ASSERT_TRUE(execute(plan, *opened, folder.path(), options));
  const uint64_t at = tiny.checkpoint().tensors()[0].offset;
  EXPECT_THAT(events, ElementsAre(Event{'a', at + 24, 24}, Event{'a', at, 8}, Event{'a', at + 8, 16},  //
                                  Event{'r', at, 8}, Event{'e', at, 8},                                //
                                  Event{'r', at + 8, 16}, Event{'e', at + 8, 16},                      //
                                  Event{'r', at + 24, 24}, Event{'e', at + 24, 24}));
  EXPECT_EQ(written_shards(plan, folder.path()), expected_shards(plan, tensors));

  // What an earlier run has finished is neither announced nor read.
  events.clear();
  options.resume = true;
  ASSERT_TRUE(execute(plan, *opened, folder.path(), options));
  EXPECT_THAT(events, IsEmpty());
}

}  // namespace
}  // namespace pippin
