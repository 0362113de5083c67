conversation {
  silence = 5
}
