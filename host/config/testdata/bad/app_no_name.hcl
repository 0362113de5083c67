app {
  module = "a.wasm"
}
