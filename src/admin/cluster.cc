// /v1/cluster: who is there, and who does what, as this node sees it.
#include <nlohmann/json.hpp>

#include "admin/routes.h"

namespace courier::admin {
namespace {

Response to_response(const ClusterFacts& facts) {
  using Json = nlohmann::ordered_json;
  Json members = Json::array(), partitions = Json::array();
  for (const ClusterFacts::Member& one : facts.members) {
    members.push_back({{"id", one.id},
                       {"epoch", one.epoch},
                       {"self", one.self},
                       {"state", one.draining ? "draining" : "active"},
                       {"reachable", one.reachable},
                       {"owns", one.owns},
                       {"mesh", one.mesh},
                       {"admin", one.admin}});
  }
  for (size_t i = 0; i < facts.partitions.size(); ++i) {
    const ClusterFacts::Partition& one = facts.partitions[i];
    partitions.push_back({{"partition", i}, {"owner", one.owner}, {"wanted", one.wanted}});
  }
  return json_response(Json{{"name", facts.name},
                            {"node", facts.node},
                            {"epoch", facts.epoch},
                            {"log", {{"id", facts.log_id}, {"lag", facts.log_lag}}},
                            {"etcd", {{"bytes", facts.etcd_bytes}, {"quota_bytes", facts.etcd_quota_bytes}}},
                            {"members", std::move(members)},
                            {"partitions", std::move(partitions)}});
}

}  // namespace

void show_cluster(const Surroundings& around, const Request&, const Reply& reply) {
  around.control->describe_cluster([reply](Result<ClusterFacts> answer) {
    reply.send([answer = std::move(answer)] {
      return answer ? to_response(*answer) : error_response(answer.error());
    });
  });
}

}  // namespace courier::admin
