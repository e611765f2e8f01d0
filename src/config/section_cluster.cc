// [cluster]: several nodes as one broker, over etcd.
#include "config/sections.h"

#include "config/check_text.h"

namespace courier::config {

namespace {

template <auto Field>
Member cluster() {
  return member<&Settings::cluster, Field>();
}

}  // namespace

Section cluster_section() {
  return {
      "cluster",
      "Several nodes as one broker, over etcd; see cluster.md. Without a name this is a node alone.",
      false,
      {
          {.name = "name",
           .kind = Kind::text,
           .member = cluster<&Cluster::name>(),
           .help = "The cluster's. All its keys in etcd begin with /courier/NAME/.",
           .check = check_node_name,
           .example = "orders"},
          {.name = "node",
           .kind = Kind::text,
           .member = cluster<&Cluster::node>(),
           .help = "This node's name, another for each node, and the same after a restart.",
           .check = check_node_name,
           .example = "orders-1"},
          {.name = "etcd",
           .kind = Kind::text_list,
           .member = cluster<&Cluster::etcd>(),
           .help = "Addresses of etcd's members, HOST:PORT; any that answers is asked.",
           .check = check_endpoint,
           .example = "\"10.0.0.1:2379\", \"10.0.0.2:2379\", \"10.0.0.3:2379\""},
          {.name = "etcd_username",
           .kind = Kind::text,
           .member = cluster<&Cluster::etcd_username>(),
           .help = "etcd's user, if it asks for one; it must be allowed to read and write /courier/NAME/.",
           .example = "courier"},
          {.name = "etcd_password_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::etcd_password_file>(),
           .help = "A file with that user's password.",
           .check = check_input_file,
           .example = "/etc/courier/etcd-password"},
          {.name = "etcd_ca_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::etcd_ca_file>(),
           .help = "Who must have issued etcd's certificate. Set, the way to etcd is TLS.",
           .check = check_input_file,
           .example = "/etc/courier/etcd-ca.pem"},
          {.name = "etcd_certificate_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::etcd_certificate_file>(),
           .help = "What this node shows etcd, if etcd asks for a certificate.",
           .check = check_input_file,
           .example = "/etc/courier/etcd-client.pem"},
          {.name = "etcd_key_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::etcd_key_file>(),
           .help = "The key of etcd_certificate_file.",
           .check = check_input_file,
           .example = "/etc/courier/etcd-client.key"},
          {.name = "etcd_quota_bytes",
           .kind = Kind::bytes,
           .member = cluster<&Cluster::etcd_quota_bytes>(),
           .help = "What etcd was given by --quota-backend-bytes. At 70 % of it the cluster takes no new "
                   "messages until there is room: a full etcd takes nothing at all.",
           .min = 16 * kMB,
           .max = 64 * kGB,
           .zero_means = "not known; then nothing warns before etcd is full"},
          {.name = "partitions",
           .kind = Kind::count,
           .member = cluster<&Cluster::partitions>(),
           .help = "Into how many parts the work for offline sessions is divided. Chosen when the cluster is "
                   "made, the same for all nodes, never changed: 16 for a few nodes, 256 for many.",
           .min = 1,
           .max = 4096},
          {.name = "lease",
           .kind = Kind::duration,
           .member = cluster<&Cluster::lease>(),
           .help = "A node that etcd does not hear of for so long is taken for dead, and closes its sockets. "
                   "Shorter serves its phones sooner, longer forgives a slow network.",
           .min = 2 * kSecond,
           .max = 60 * kSecond},
          {.name = "patience",
           .kind = Kind::duration,
           .member = cluster<&Cluster::patience>(),
           .help = "How long a start waits for etcd, and for the lease of an earlier run to end.",
           .min = kSecond,
           .max = kHour},
          {.name = "mesh_bind",
           .kind = Kind::text,
           .member = cluster<&Cluster::mesh_bind>(),
           .help =
               "Where other nodes connect, for QoS 0 messages. For a network where nobody else is, or with "
               "mesh_certificate_file.",
           .check = check_ip_bind},
          {.name = "mesh_address",
           .kind = Kind::text,
           .member = cluster<&Cluster::mesh_address>(),
           .help = "By which address they reach it, if that is not mesh_bind's own.",
           .check = check_ip_bind,
           .example = "10.0.0.1:7883"},
          {.name = "mesh_certificate_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::mesh_certificate_file>(),
           .help =
               "This node's certificate for the mesh, good for servers and clients and for the node's name "
               "(or mesh_name). With it, nodes talk over TLS and check one another.",
           .check = check_input_file,
           .example = "/etc/courier/mesh.pem"},
          {.name = "mesh_key_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::mesh_key_file>(),
           .help = "The key of mesh_certificate_file.",
           .check = check_input_file,
           .example = "/etc/courier/mesh.key"},
          {.name = "mesh_ca_file",
           .kind = Kind::text,
           .member = cluster<&Cluster::mesh_ca_file>(),
           .help = "Who must have issued the other nodes' certificates.",
           .check = check_input_file,
           .example = "/etc/courier/mesh-ca.pem"},
          {.name = "mesh_name",
           .kind = Kind::text,
           .member = cluster<&Cluster::mesh_name>(),
           .help = "The name that all nodes' certificates have in common. Empty: each has its node's own.",
           .check = check_node_name,
           .example = "mesh.orders"},
          {.name = "admin_address",
           .kind = Kind::text,
           .member = cluster<&Cluster::admin_address>(),
           .help = "By which address others reach this node's HTTP side, if that is not admin.bind's own; "
                   "`courier cluster status` shows it.",
           .check = check_ip_bind,
           .example = "10.0.0.1:9464"},
          {.name = "client_address",
           .kind = Kind::text,
           .member = cluster<&Cluster::client_address>(),
           .help =
               "Where clients reach this node. A node that lets go of its clients (`courier node drain`, "
               "SIGTERM) names "
               "the others' addresses to those of 5.0, one client after another (Use Another Server). Empty: "
               "they are not told of this one, as is right behind a load balancer.",
           .check = check_endpoint,
           .example = "mqtt-1.example.com:1883"},
      }};
}

}  // namespace courier::config
