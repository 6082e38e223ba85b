package tenant

// Unknown is how many hosts are remembered as nobody's.
func (d *Directory) Unknown() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.unknown)
}
