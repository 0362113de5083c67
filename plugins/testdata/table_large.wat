(module (table 0x7fffffff funcref))
