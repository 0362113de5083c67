app "a" {
  module = "a.wasm"
  sha256 = "9f86d081"
}
