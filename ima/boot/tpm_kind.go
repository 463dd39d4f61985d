package boot

// DriverKind says what a driver drives.
type DriverKind uint8

// The kinds. All but Plain drive a TPM.
const (
	Plain   DriverKind = iota
	TIS                // tpm_tis: memory-mapped, drivers/char/tpm/tpm_tis.c
	TISSPI             // tpm_tis_spi: probed asynchronously
	CRB                // tpm_crb
	CRBFFA             // tpm_crb with the FF-A start method: needs the FF-A driver
	IBMVTPM            // tpm_ibmvtpm of PowerVM and pseries
	FTPMTEE            // tpm_ftpm_tee: needs a TEE
)

var driverKindNames = [...]string{
	Plain: "plain", TIS: "tis", TISSPI: "tis-spi", CRB: "crb", CRBFFA: "crb-ffa",
	IBMVTPM: "ibmvtpm", FTPMTEE: "ftpm-tee",
}

func (k DriverKind) String() string { return nameOf(driverKindNames[:], k, "DriverKind") }

// MarshalText returns the word of platform files.
func (k DriverKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k DriverKind) tpm() bool { return k != Plain }

// asynchronous is PROBE_PREFER_ASYNCHRONOUS in the driver's source.
func (k DriverKind) asynchronous() bool { return k == TISSPI }

// tpmKind is in what the drivers' probes differ.
type tpmKind struct {
	// probes sends the question of tpm2_probe; other drivers know that they
	// have a TPM 2.0.
	probes bool
	// banner is the "2.0 TPM" line, which comes before the start of the chip.
	banner bool
	// attributes reads the command attributes before the chip is registered,
	// and fails with them (tpm_ibmvtpm_probe).
	attributes bool
}

var tpmKinds = [...]tpmKind{
	TIS:     {probes: true, banner: true},
	TISSPI:  {probes: true, banner: true},
	CRB:     {},
	CRBFFA:  {},
	IBMVTPM: {attributes: true},
	FTPMTEE: {},
}

// probeTPM is the probe of a TPM's driver; the result is a positive errno.
func (k *kernel) probeTPM(t *task, dev *device) int {
	drv := dev.driver
	t.sleep(k.vary(drv.Took))
	if err := dev.failure(); err != 0 {
		return err
	}
	if k.config.Device == nil {
		return enodev
	}
	kind := &tpmKinds[drv.Kind]
	c := &chip{k: k, device: dev, driver: drv, tpm2: !kind.probes}
	if kind.probes {
		c.probe(t)
	}
	if kind.banner {
		family := "1.2"
		if c.tpm2 {
			family = "2.0"
		}
		k.logf(t, "%s %s: %s TPM (device-id 0x1, rev-id 1)", drv.Name, dev.Name, family)
	}
	if !c.tpm2 {
		// The driver goes on with TPM 1.2 commands, which nothing here
		// answers in time.
		return etime
	}
	if kind.attributes {
		k.logf(t, "%s %s: CRQ initialized", drv.Name, dev.Name)
		k.logf(t, "%s %s: CRQ initialization completed", drv.Name, dev.Name)
		if rc := c.getCommandAttributes(t); rc != 0 {
			return -rc
		}
	}
	return -c.register(t)
}
