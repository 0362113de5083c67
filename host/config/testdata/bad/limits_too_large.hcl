app "a" {
  module = "a.wasm"

  limits {
    fuel   = 1e16
    wall   = "1h"
    memory = "5GiB"
  }
}
