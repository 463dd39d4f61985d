package generator

import "github.com/swtpmd/swtpmd/conformance/differential/conversation"

// restart takes the TPM through a loss of power: with or without a shutdown
// before it, with a startup that may or may not fit.
func (g *generator) restart() {
	if g.chance(0.75) {
		g.do(shutdown(pick[byte](g, 0, 1, 1)))
	}
	if g.chance(0.1) { // withdraws the shutdown, unless it reads only
		g.draw()
	}
	if g.chance(0.3) {
		g.do(conversation.Step{Action: conversation.PowerOff})
	}
	g.do(conversation.Step{Action: conversation.Init})
	g.do(startup(pick[byte](g, 0, 1, 1)))
	g.do(startup(0))
}

// hashSequence feeds a measurement by signals, sometimes without beginning or
// end, sometimes disturbed by a command.
func (g *generator) hashSequence() {
	if !g.chance(0.1) {
		g.do(conversation.Step{Action: conversation.HashStart})
	}
	for range g.rng.IntN(4) {
		size := g.rng.IntN(200)
		if g.chance(0.1) {
			size = pick(g, 0, 64, 128, 1024, 5000)
		}
		g.do(conversation.Step{Action: conversation.HashData, Data: g.bytes(size)})
		if g.chance(0.05) {
			g.draw()
		}
	}
	if !g.chance(0.1) {
		g.do(conversation.Step{Action: conversation.HashEnd})
	}
}

// boot is everything from _TPM_Init to a started TPM.
func (g *generator) boot(first bool) {
	if !first {
		if g.chance(0.75) {
			g.do(g.at(shutdown(pick[byte](g, 0, 1, 1))))
		}
		if g.chance(0.1) {
			g.draw()
		}
		if g.chance(0.3) {
			g.do(conversation.Step{Action: conversation.PowerOff})
		}
	}
	if !first || g.chance(0.2) {
		g.do(conversation.Step{Action: conversation.Init})
	}
	if g.chance(0.1) {
		g.draw() // before Startup
	}
	if g.chance(0.3) {
		g.hashSequence()
	}
	g.do(g.at(startup(pick[byte](g, 0, 0, 1))))
	// Whatever became of it, from here on the TPM is started.
	g.do(startup(0))
}

// at moves a step to a locality.
func (g *generator) at(step conversation.Step) conversation.Step {
	if len(g.style.localities) > 0 && g.chance(0.5) {
		step.Locality = pick(g, g.style.localities...)
	}
	return step
}

// powerScript is a script of the third layer: several boots, with commands at
// all localities and DRTM sequences in between. The state is read back after
// every boot and at its end.
func (g *generator) powerScript() {
	for boot := range 2 + g.rng.IntN(3) {
		g.boot(boot == 0)
		g.play(epilogue())
		for range 5 + g.rng.IntN(20) {
			if g.chance(0.08) {
				g.hashSequence()
			} else {
				g.draw()
			}
		}
		g.play(epilogue())
	}
}
