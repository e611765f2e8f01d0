#include "cluster/etcd/errc.h"

#include <string>

namespace courier::cluster::etcd {

const std::error_category& category() {
  class Category : public std::error_category {
    const char* name() const noexcept override { return "etcd"; }
    std::string message(int code) const override {
      switch (static_cast<errc>(code)) {
        case errc::unavailable:
          return "etcd does not answer";
        case errc::bad_options:
          return "etcd cannot be reached with these settings";
        case errc::refused:
          return "etcd refuses";
        case errc::unsupported:
          return "not an etcd that Courier can work with";
        case errc::other_cluster:
          return "another cluster";
        case errc::newer_format:
          return "written by a newer version";
        case errc::node_id_taken:
          return "another process is this node";
        case errc::lease_gone:
          return "this node is not in the cluster any more";
        case errc::fenced:
          return "the log does not take this node's records any more";
        case errc::snapshot_needed:
          return "the log does not reach back to this node's state";
        case errc::behind:
          return "etcd holds less than this node has seen";
        case errc::damaged:
          return "the keys in etcd are damaged";
        case errc::no_space:
          return "etcd has no space left";
        case errc::compacted:
          return "etcd has forgotten this revision";
        case errc::future_revision:
          return "etcd has not reached this revision";
        case errc::protocol:
          return "etcd gave an answer that makes no sense";
      }
      return "unknown error";
    }
  };
  static const Category category;
  return category;
}

}  // namespace courier::cluster::etcd
