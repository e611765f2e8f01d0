// courierd from its arguments to its exit code: settings, then one run of the broker.
#pragma once

#include "daemon.h"

namespace courier::courierd {

int main(int argc, const char* const* argv, const Adapters& adapters = {});

}  // namespace courier::courierd
