// (to be written)
export {}
