// The table of routes against openapi.yaml, and how a request finds its route.
#include "admin/routes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace courier::admin {
namespace {

// "GET /path" for each operation under `paths:`. The file is kept to two spaces a level, so that this needs
// no YAML library.
std::set<std::string> described() {
  std::ifstream in(std::filesystem::path(SAMPLES_DIR).parent_path() / "openapi.yaml");
  EXPECT_TRUE(in);
  std::set<std::string> found;
  std::string line, path;
  bool paths = false;
  while (std::getline(in, line)) {
    if (!line.empty() && line.front() != ' ') paths = line == "paths:";
    if (!paths) continue;
    if (line.starts_with("  /")) path = line.substr(2, line.size() - 3);
    for (const std::string method : {"get", "put", "post", "delete", "patch"}) {
      if (line != "    " + method + ":") continue;
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
      found.insert(upper + " " + path);
    }
  }
  return found;
}

TEST(Routes, AreThoseThatTheDescriptionHas) {
  std::set<std::string> table;
  for (const Route& route : routes()) table.insert(std::string(route.method) + " " + std::string(route.path));
  EXPECT_GE(table.size(), 9u);
  EXPECT_EQ(described(), table);
}

TEST(Routes, AreOpenOnlyOutsideOfTheApi) {
  for (const Route& route : routes()) {
    const std::string_view first = route.path.substr(1, route.path.find('/', 1) - 1);
    EXPECT_EQ(needs_token({std::string(first)}), route.access == Route::Access::token) << route.path;
  }
}

TEST(Routes, AreFoundByWholeSegments) {
  EXPECT_EQ(find_route("GET", {"v1", "clients", "a/b"}).id, "a/b");
  EXPECT_EQ(find_route("GET", {"v1", "clients", "a", "trace"}).route->path, "/v1/clients/{id}/trace");
  EXPECT_EQ(find_route("HEAD", {"livez"}).route->path, "/livez");
  EXPECT_EQ(find_route("GET", {"v1", "clients", ""}).route, nullptr);
  EXPECT_EQ(find_route("GET", {"v1"}).route, nullptr);
  EXPECT_EQ(find_route("GET", {"v1", "clients", "a", "trace", ""}).route, nullptr);
  EXPECT_EQ(find_route("get", {"livez"}).route, nullptr);
  EXPECT_EQ(find_route("PATCH", {"v1", "clients", "a"}).allowed, "GET, HEAD, DELETE");
  EXPECT_EQ(find_route("PATCH", {"v1", "nothing"}).allowed, "");
}

}  // namespace
}  // namespace courier::admin
