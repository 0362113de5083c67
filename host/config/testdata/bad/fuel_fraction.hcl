app "a" {
  module = "a.wasm"

  limits {
    fuel = 0.5
  }
}
