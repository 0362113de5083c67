app "a" {
  module = "a.wasm"

  limits {
    fuel   = -1
    wall   = "-250ms"
    memory = -65536
  }
}
