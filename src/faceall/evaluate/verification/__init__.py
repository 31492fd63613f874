"""1:1 verification in the terms of ISO/IEC 19795-1: error rates, intervals over people, groups and comparisons."""
