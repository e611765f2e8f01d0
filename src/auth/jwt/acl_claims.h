// Access rules in a token:
//
//   "acl": [
//     {"topic": "orders/%u/#", "access": "read", "label": "orders"},
//     {"topic": "orders/+/secret", "access": "deny"}
//   ],
//   "publ": ["phones/%u/up"],       topics and filters that it may publish to
//   "subs": ["phones/%u/down/#"]    ... and subscribe to
//
// "topic" and "filter" mean the same; access is read (subscribe), write (publish), readwrite or deny. What is
// not understood fails the whole token: a rule must not be lost, least of all one that denies. A list that is
// there but empty denies everything, as its author will have meant. Pure.
#pragma once

#include <string>
#include <vector>

#include "auth/grant.h"
#include "base/result.h"
#include "jose/json_object.h"

namespace courier::auth::jwt {

// `acl_claim`: the name of the first. Error: jose::errc::bad_claim, with the rule's number.
Result<std::vector<Grant>> grants_of(const jose::Json& claims, const std::string& acl_claim);

// The rules of one such list, wherever it stands: what a hook answers has them too. Error: the same.
Result<std::vector<Grant>> rules_of(const jose::Json& list);

}  // namespace courier::auth::jwt
