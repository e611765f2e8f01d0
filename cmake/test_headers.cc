// Carries the precompiled headers of all test programs: see folder.cmake.
