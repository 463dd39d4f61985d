package measure

// KeyQueueSeconds is how long after its start IMA waits for a custom policy
// before it drops the queued keys. Whoever keeps the time calls KeyQueueExpired
// then.
const KeyQueueSeconds = 300

// KeyCreateOrUpdate is the hook of an asymmetric key that has been added to a
// keyring or changed there (ima_post_key_create_or_update): it is measured under
// the keyring's name, at once if a custom policy has been loaded, and with the
// policy's loading otherwise.
func (m *IMA) KeyCreateOrUpdate(keyring string, cred *Cred, payload []byte) {
	if !m.config.MeasureKeys || len(payload) == 0 {
		return
	}
	q := &m.keys
	q.mu.Lock()
	if !q.process {
		q.keys = append(q.keys, queuedKey{keyring, append([]byte(nil), payload...)})
		q.mu.Unlock()
		return
	}
	q.mu.Unlock()
	m.measureKey(queuedKey{keyring, payload}, cred)
}

func (m *IMA) measureKey(k queuedKey, cred *Cred) {
	// The policy may well not want it.
	_, _ = m.processBuffer(&bufferEvent{hook: hookKeyCheck, cred: cred, name: k.keyring, data: k.keyring, buf: k.payload})
}

// KeyQueueExpired drops the queued keys (ima_keys_handler). From then on keys
// are measured at once.
func (m *IMA) KeyQueueExpired() { m.keys.flush() }

// processQueuedKeys measures the queued keys once.
func (m *IMA) processQueuedKeys() {
	for _, k := range m.keys.flush() {
		m.measureKey(k, nil)
	}
}
