package differential

// restart takes the TPM through a loss of power: with or without a shutdown
// before it, with a startup that may or may not fit.
func (g *generator) restart() Script {
	var script Script
	if g.chance(0.75) {
		script = append(script, shutdown(pick[byte](g, 0, 1, 1)))
	}
	if g.chance(0.1) { // withdraws the shutdown, unless it reads only
		script = append(script, g.draw())
	}
	if g.chance(0.3) {
		script = append(script, Step{Action: PowerOff})
	}
	script = append(script, Step{Action: Init})
	return append(script, startup(pick[byte](g, 0, 1, 1)), startup(0))
}

// hashSequence feeds a measurement by signals, sometimes without beginning or
// end, sometimes disturbed by a command.
func (g *generator) hashSequence() Script {
	var script Script
	if !g.chance(0.1) {
		script = append(script, Step{Action: HashStart})
	}
	for range g.rng.IntN(4) {
		size := g.rng.IntN(200)
		if g.chance(0.1) {
			size = pick(g, 0, 64, 128, 1024, 5000)
		}
		script = append(script, Step{Action: HashData, Data: g.bytes(size)})
		if g.chance(0.05) {
			script = append(script, g.draw())
		}
	}
	if !g.chance(0.1) {
		script = append(script, Step{Action: HashEnd})
	}
	return script
}

// boot is everything from _TPM_Init to a started TPM.
func (g *generator) boot(first bool) Script {
	var script Script
	if !first {
		if g.chance(0.75) {
			script = append(script, g.at(shutdown(pick[byte](g, 0, 1, 1))))
		}
		if g.chance(0.1) {
			script = append(script, g.draw())
		}
		if g.chance(0.3) {
			script = append(script, Step{Action: PowerOff})
		}
	}
	if !first || g.chance(0.2) {
		script = append(script, Step{Action: Init})
	}
	if g.chance(0.1) {
		script = append(script, g.draw()) // before Startup
	}
	if g.chance(0.3) {
		script = append(script, g.hashSequence()...)
	}
	script = append(script, g.at(startup(pick[byte](g, 0, 0, 1))))
	// Whatever became of it, from here on the TPM is started.
	return append(script, startup(0))
}

// at moves a step to a locality.
func (g *generator) at(step Step) Step {
	if len(g.style.localities) > 0 && g.chance(0.5) {
		step.Locality = pick(g, g.style.localities...)
	}
	return step
}

// powerScript is a script of the third layer: several boots, with commands at
// all localities and DRTM sequences in between. The state is read back after
// every boot and at its end.
func (g *generator) powerScript() source {
	var sources []source
	for boot := range 2 + g.rng.IntN(3) {
		sources = append(sources,
			scripts(1, func() Script { return g.boot(boot == 0) }),
			list(epilogue()),
			scripts(5+g.rng.IntN(20), func() Script {
				if g.chance(0.08) {
					return g.hashSequence()
				}
				return Script{g.draw()}
			}),
			list(epilogue()))
	}
	return concat(sources...)
}
