#include "origin/openapi.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "origin/route_access.h"
#include "tests/origin/origin_fixture.h"

namespace nearside::origin::test {
namespace {

using ::testing::HasSubstr;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

/// "get /v1/sites" for every operation of the document.
std::set<std::string> Described(const nlohmann::json& document) {
  std::set<std::string> operations;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) operations.insert(method + " " + path);
  }
  return operations;
}

std::set<std::string> Routed() {
  std::set<std::string> operations;
  for (const RouteRow& route : Routes()) {
    for (const char* method : {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}) {
      if (Allows(route.methods, method)) {
        operations.insert(Lower(method) + " " + std::string(route.path));
      }
    }
  }
  return operations;
}

void CollectReferences(const nlohmann::json& json, std::set<std::string>* references) {
  if (json.is_object() && json.contains("$ref")) {
    references->insert(json["$ref"].get<std::string>());
  }
  if (!json.is_structured()) return;
  for (const auto& part : json) CollectReferences(part, references);
}

class OpenApiTest : public testing::Test {
 protected:
  const nlohmann::json document_ = nlohmann::json::parse(OpenApiDocument());
};

TEST_F(OpenApiTest, ItNamesEveryRouteAndMethodAndNothingElse) {
  EXPECT_EQ(Described(document_), Routed());
}

TEST_F(OpenApiTest, EveryReferenceLeadsSomewhereAndEverySchemaIsUsed) {
  std::set<std::string> references;
  CollectReferences(document_, &references);
  for (const std::string& reference : references) {
    ASSERT_EQ(reference.substr(0, 2), "#/") << reference;
    EXPECT_TRUE(document_.contains(nlohmann::json::json_pointer(reference.substr(1)))) << reference;
  }
  for (const auto& [name, schema] : document_["components"]["schemas"].items()) {
    EXPECT_TRUE(references.contains("#/components/schemas/" + name)) << name;
  }
}

TEST_F(OpenApiTest, OperationsHaveNamesOfTheirOwnAndTheirPathsParameters) {
  std::set<std::string> ids;
  for (const auto& [path, methods] : document_["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      SCOPED_TRACE(method + " " + path);
      EXPECT_TRUE(ids.insert(operation["operationId"].get<std::string>()).second);
      EXPECT_FALSE(operation["summary"].get<std::string>().empty());
      EXPECT_TRUE(operation["responses"].contains("default"));
      std::set<std::string> declared;
      for (const auto& parameter : operation.value("parameters", nlohmann::json::array())) {
        if (parameter["in"] == "path")
          declared.insert("{" + parameter["name"].get<std::string>() + "}");
        EXPECT_TRUE(parameter["schema"].contains("type"));
      }
      EXPECT_EQ(declared.size(), static_cast<size_t>(std::count(path.begin(), path.end(), '{')));
      for (const std::string& name : declared) EXPECT_THAT(path, HasSubstr(name));
    }
  }
}

TEST_F(OpenApiTest, ScopesAreThoseThatTheRoutesAskFor) {
  for (const RouteRow& route : Routes()) {
    for (const auto& [method, operation] : document_["paths"][std::string(route.path)].items()) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      const Need need = NeedOf(route.kind, upper);
      SCOPED_TRACE(upper + " " + std::string(route.path));
      if (need.reach == Reach::kOpen) {
        EXPECT_TRUE(operation["security"].empty());
        continue;
      }
      EXPECT_FALSE(operation.contains("security"));
      EXPECT_THAT(operation["x-nearside-scope"].get<std::string>(),
                  testing::StartsWith(std::string(RightName(need.right))));
    }
  }
}

class OpenApiRouteTest : public OriginTest {};

TEST_F(OpenApiRouteTest, ItIsServedToEverybody) {
  const Reply reply = Request("GET /v1/openapi.json", "");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.Field("content-type"), "application/json");
  EXPECT_EQ(Json(reply)["openapi"], "3.1.0");
  EXPECT_EQ(Request("POST /v1/openapi.json", "").status, 405);
}

}  // namespace
}  // namespace nearside::origin::test
