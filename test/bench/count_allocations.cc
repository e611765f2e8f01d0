// A shared object for LD_PRELOAD that counts a process's allocations: counts_test.py puts it under courierd,
// which knows nothing of it.
//
// It stands in for malloc and its kin and passes everything on to glibc. Into the file that COURIER_COUNTS
// names it writes how often each stack asked for memory while `on` was set there. Whose an allocation is
// follows from its stack, and so does the report of a test that failed.
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// What these stand in for, by the names that glibc has for itself.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

constexpr size_t kStacksMax = 1024;
constexpr size_t kFramesMax = 29;

// counts_test.py reads it: Allocations.HEAD and STACK there.
struct Stack {
  std::atomic<uint64_t> hash, count;
  uint64_t frames[kFramesMax];
};
struct Counts {
  std::atomic<uint64_t> on;
  std::atomic<uint64_t> without_stack;  // found the table full
  Stack stacks[kStacksMax];
};

struct Range {
  uintptr_t begin = UINTPTR_MAX, end = 0;
  bool contains(uintptr_t address) const { return address >= begin && address < end; }
};

Counts* counts = nullptr;
Range own;  // this object, which no stack shows
// Not thread_local with a constructor, nor of the dynamic model, which would allocate.
__thread bool counting __attribute__((tls_model("initial-exec"))) = false;

Range range_of(const dl_phdr_info& object) {
  Range range;
  for (size_t i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object.dlpi_phdr[i];
    if (part.p_type != PT_LOAD) continue;
    const uintptr_t begin = object.dlpi_addr + part.p_vaddr;
    if (begin < range.begin) range.begin = begin;
    if (begin + part.p_memsz > range.end) range.end = begin + part.p_memsz;
  }
  return range;
}

int on_object(dl_phdr_info* object, size_t, void*) {
  const Range range = range_of(*object);
  if (range.contains(reinterpret_cast<uintptr_t>(&on_object))) own = range;
  return 0;
}

struct Walk {
  size_t frames = 0;
  uint64_t hash = 14695981039346656037u;
  uint64_t addresses[kFramesMax];
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* to) {
  Walk& walk = *static_cast<Walk*>(to);
  const uintptr_t address = _Unwind_GetIP(context);
  if (own.contains(address)) return _URC_NO_REASON;
  walk.addresses[walk.frames++] = address;
  walk.hash = (walk.hash ^ address) * 1099511628211u;
  return walk.frames < kFramesMax ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void note(const Walk& walk) {
  for (size_t probe = 0; probe < kStacksMax; ++probe) {
    Stack& stack = counts->stacks[(walk.hash + probe) % kStacksMax];
    uint64_t there = 0;
    if (stack.hash.compare_exchange_strong(there, walk.hash)) {
      std::memcpy(stack.frames, walk.addresses, walk.frames * sizeof walk.addresses[0]);
    } else if (there != walk.hash) {
      continue;
    }
    stack.count.fetch_add(1);
    return;
  }
  counts->without_stack.fetch_add(1);
}

void count() {
  if (counts == nullptr || counting || counts->on.load(std::memory_order_relaxed) == 0) return;
  counting = true;  // the walk itself may allocate, the first time
  const int number = errno;
  Walk walk;
  _Unwind_Backtrace(on_frame, &walk);
  note(walk);
  errno = number;
  counting = false;
}

__attribute__((constructor)) void open_counts() {
  const char* path = std::getenv("COURIER_COUNTS");
  if (path == nullptr) return;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void* memory = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return;
  dl_iterate_phdr(on_object, nullptr);
  counts = static_cast<Counts*>(memory);
}

}  // namespace

// operator new comes here too, by way of malloc.
extern "C" {

void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void* calloc(size_t count_of, size_t size) {
  count();
  return __libc_calloc(count_of, size);
}

void* realloc(void* memory, size_t size) {
  count();
  return __libc_realloc(memory, size);
}

void* memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, size_t alignment, size_t size) {
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory != nullptr ? 0 : ENOMEM;
}

}  // extern "C"
