"""The physics of N engines at once: what they are asked to do -> what their sensors could measure.

Pure: changes the state it is given, and nothing else. A mean-value model (Hendricks and Sorenson 1990; Guzzella
and Onder 2010, ch. 2): quantities are means over engine cycles. Fast lags are discretised exactly, so that half a
second is as good a step as a tenth; what is slower than ten seconds is stepped by Euler.

A car's speed is given, and the driver (a plant's governor) opens the throttle as far as that takes. So a fault
that costs power shows in throttle, manifold pressure and fuel, as in life, and not in the speed.

Sources, by the names used below: [H] Heywood, Internal Combustion Engine Fundamentals (1988); [G] Guzzella and
Onder, Introduction to Modeling and Control of Internal Combustion Engine Systems (2010); [B] Bosch Automotive
Handbook. docs/simulator.md says which of them were checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.records import RATED_KW, SENSORS
from simulator.relations import KMH, burns, next_gear, orifice, road_power, towards, viscosity

if TYPE_CHECKING:
    from monitor.records import Bool, Float64
    from simulator.parameters import Parameters
    from simulator.records import Demand, Effects

LHV = 43_500.0  # kJ/kg, lower heating value of petrol [B]
STOICHIOMETRIC = 14.7  # kg of air for a kg of petrol
PETROL = 0.745  # kg/l
GAS = 0.287  # kJ/(kg K), of air
CYLINDERS = 4
DRAWS = 3  # random numbers that an engine takes each tick
RPM = 60 / (2 * np.pi)  # rpm in a rad/s

SPEED_PER_KMH = np.array([128.0, 72.0, 48.0, 36.5, 29.0, 23.5])  # rpm per km/h in each gear
GOVERNED = 1500.0  # rpm of a genset at half load (50 Hz, four poles)
DROOP = 0.02  # from no load to full load
GOVERNING_S = 0.8  # in which the governor takes a deviation of the speed back
GENSET_INERTIA = 3.0  # kg m² (Perkins 404D-22G, 2.2 l: engine 0.44, flywheel 2.55; the alternator comes to them)
CAR_INERTIA = 0.25  # kg m² of a car's engine with its flywheel, the clutch open
CRANKED = 0.6  # of the speed that is wanted: up to there a starter and the first firings bring it
LIMITED = 6500.0  # rpm at which the injection is cut
CHARGES = 60.0  # rad/s from which on the alternator gives its full power
FELT_S = 1.0  # in which driver or governor answer to an engine that does not pull as usual
CRANKING_S = 0.5  # in which the starter turns
LEAST_AIR = 0.3  # g/s that pass a throttle that is shut
IDLE_AIR = 6.0  # g/s that the idle control lets past it at the most
SAGS_BELOW = 1425.0  # rpm below which the voltage regulator lets the load's voltage sag with the speed

INERTIA_S = 0.35  # lag of the engine's speed behind the wheels' or the governor's
FILLING_S = 0.18  # lag of the manifold [G, ch. 2]
SPOOL_S = 1.0  # lag of the turbocharger's speed (Porsche 1800 rpm: 3 s to full torque)
SPARE_BOOST = 0.03  # pressure ratio that it has in hand beyond what is asked for
OVERRUN_KPA = 21.0  # manifold pressure with the throttle shut: what the idle bypass lets in
EXHAUST_S = 9.0  # of the exhaust and its thermocouple's well
WAX_S = 12.0  # of the thermostat's wax
OIL_MASS = 22.0  # kJ/K of oil and what it washes
CUT_BELOW_KW = -1.5  # on overrun below this the injectors stay shut
SWING = 0.012  # of lambda about its target: the control's limit cycle under a two-point sensor [G, ch. 4]
SWING_S = 0.15  # its correlation time; ticks of half a second see a cycle of 1 to 3 Hz as noise
SPARK_MARGIN_V = 1.5  # what the ignition can lose before it misses under load


@dataclass(slots=True)
class EngineState:
    """What N engines carry from tick to tick."""

    speed: Float64  # (N,) rpm
    gear: Float64  # (N,) 0 to 5
    vehicle: Float64  # (N,) km/h at the last tick
    surplus: (
        Float64  # (N,) Nm beyond what the load of a governed engine took at the last tick; negative: short of it
    )
    mixture: Float64  # (N,) lambda of what burns, as driver or governor have felt it so far
    cranking: Float64  # (N,) s that the starter still turns
    manifold: Float64  # (N,) kPa
    spool: Float64  # (N,) pressure ratio that the turbocharger gives now, less one
    swing: Float64  # (N,) where the lambda control is in its limit cycle, standard deviation 1
    coolant: Float64  # (N,) °C
    oil: Float64  # (N,) °C
    thermostat: Float64  # (N,) opening, 0 to 1
    exhaust: Float64  # (N,) °C
    hunting: Float64  # (N,) rpm by which the idle governor is off
    was_running: Float64  # (N,) 1 = ran at the last tick


def cold_state(engines: int, ambient: Float64) -> EngineState:
    """Engines that have stood for a night at `ambient` (N,) °C."""
    return EngineState(
        speed=np.zeros(engines),
        gear=np.zeros(engines),
        vehicle=np.zeros(engines),
        surplus=np.zeros(engines),
        mixture=np.ones(engines),
        cranking=np.zeros(engines),
        manifold=np.full(engines, 100.0),
        spool=np.zeros(engines),
        swing=np.zeros(engines),
        coolant=ambient.copy(),
        oil=ambient.copy(),
        thermostat=np.zeros(engines),
        exhaust=ambient.copy(),
        hunting=np.zeros(engines),
        was_running=np.zeros(engines),
    )


def warm_state(engines: int, parameters: Parameters) -> EngineState:
    """Engines that have run for a while; a few minutes of running take out what is left of the guess."""
    state = cold_state(engines, parameters.thermostat + 3.0)
    state.speed[:], state.exhaust[:], state.manifold[:] = parameters.idle_speed, 450.0, 38.0
    state.thermostat[:], state.was_running[:] = 0.3, 1.0
    state.oil += 5.0
    return state


def advance(
    state: EngineState, parameters: Parameters, demand: Demand, effects: Effects, period_s: float, noise: Float64
) -> Float64:
    """T ticks of all engines: the true values (T, N, C), in the order of `SENSORS`; changes `state`.

    `noise` (T, N, DRAWS) is standard normal: of the idle governor, of the combustion from cycle to cycle, and of
    the lambda control.
    """
    ticks, engines = demand.running.shape
    truth = np.empty((ticks, engines, len(SENSORS)))
    step = _Step(parameters, period_s)
    for t in range(ticks):
        truth[t] = step.take(state, _At(demand, t), _At(effects, t), noise[t])
    return truth


class _At:
    """One tick of a dataclass of (T, N) arrays."""

    def __init__(self, columns: Demand | Effects, tick: int) -> None:
        self._columns, self._tick = columns, tick

    def __getattr__(self, name: str) -> Float64:
        values: Float64 = getattr(self._columns, name)[self._tick]
        return values


class _Step:
    """One tick of all engines; what depends on the parameters alone is worked out once."""

    def __init__(self, parameters: Parameters, period_s: float) -> None:
        self.own = parameters
        self.dt = period_s
        self.spins = towards(INERTIA_S, period_s)
        self.fills = towards(FILLING_S, period_s)
        self.heats = towards(EXHAUST_S, period_s)
        self.melts = towards(WAX_S, period_s)
        self.spools = towards(SPOOL_S, period_s)
        self.feels = towards(FELT_S, period_s)
        self.hunts = float(np.exp(-period_s / 1.5))
        self.swings = float(np.exp(-period_s / SWING_S))
        self.swept = parameters.displacement / (4 * np.pi)  # (N,) Nm per kPa of mean effective pressure

    def take(self, state: EngineState, asked: _At, wrong: _At, noise: Float64) -> Float64:
        """The true values (N, C) of the next tick."""
        own, dt = self.own, self.dt
        runs = asked.running.astype(np.float64)  # (N,) and so all that follows
        starts = runs * (1 - state.was_running)
        plant = asked.shaft_power > 0

        # What is asked of the shaft, and at which speed.
        kelvin = asked.ambient_temperature + 273.15
        density = asked.ambient_pressure / (GAS * kelvin)  # kg/m³
        wheel = road_power(own, asked.vehicle_speed, state.vehicle, density, dt)  # kW
        power = np.where(plant, asked.shaft_power, wheel)
        state.gear = next_gear(state.gear, asked.vehicle_speed)
        geared = SPEED_PER_KMH[state.gear.astype(np.intp)] * asked.vehicle_speed
        cold = np.clip((60.0 - state.coolant) / 80.0, 0.0, 1.0)  # a cold engine idles faster [B]
        idle = own.idle_speed * (1 + 0.4 * cold)
        wanted = np.where(plant, GOVERNED * (1 + DROOP * (0.5 - power / RATED_KW)), np.maximum(idle, geared))
        # What is not held by wheels turns freely: a genset, and a car's engine that idles.
        inertia = np.where(plant, GENSET_INERTIA, CAR_INERTIA)
        governed = (plant | (geared < idle)) & (runs > 0) & (state.speed > CRANKED * wanted)
        swung = np.clip(state.speed + dt * state.surplus / inertia * RPM, 0.0, LIMITED)
        state.speed = np.where(governed, swung, state.speed + self.spins * (wanted * runs - state.speed))
        missing = np.clip(wrong.misfire_share + self._weak_sparks(state, wrong), 0.0, 1.0) / CYLINDERS
        rough = 1 + 40 * missing
        state.hunting = self.hunts * state.hunting + np.sqrt(1 - self.hunts**2) * 6.0 * rough * noise[:, 0]
        speed = np.maximum(state.speed + state.hunting * runs * np.exp(-power.clip(0) / 15), 1.0)
        omega = speed / RPM  # rad/s

        # Torque: what the shaft gives, and what friction, gas exchange and the alternator take.
        krpm = speed / 1000
        rubbing = self._rubbing(krpm, state.oil, wrong) * self.swept  # Nm
        pumping = np.maximum(asked.ambient_pressure - state.manifold, 0.0) * self.swept  # Nm, past the throttle
        taken = rubbing + pumping + 800 / np.maximum(omega, CHARGES)  # Nm; alternator and pumps take 0.8 kW
        cut = (power < CUT_BELOW_KW) & (speed > 1.4 * own.idle_speed)
        sags = np.where(plant, np.minimum(speed / SAGS_BELOW, 1.0) ** 2, 1.0)
        load = np.maximum(power, 0.0) * sags * 1000 / np.maximum(omega, CHARGES)  # Nm
        steer = np.where(governed, inertia / RPM * (wanted - state.speed) / GOVERNING_S, 0.0)  # Nm
        indicated = np.where(cut, 0.0, np.maximum(load + steer + taken, 0.0))

        # Air: as much as the torque takes, as far as the manifold can be filled.
        upstream = (
            asked.ambient_pressure
            - 0.8 * (speed / 3000) ** 2
            - wrong.air_filter_drop * (state.manifold * speed / 2.5e5)
        )
        blown = 1 + own.boost * (1 - wrong.turbo_loss) * np.clip((speed - 1000) / 1100, 0.0, 1.0)
        most = upstream * blown * 0.97
        rich = np.clip((state.manifold - 130) / 60, 0.0, 1.0) * 0.12  # enrichment that protects the turbine [B]
        target = 1 - rich + wrong.lambda_bias
        # Driver and governor answer to what really burns: what is wrong with the mixture takes more throttle.
        efficiency = own.indicated_efficiency * burns(state.mixture) * (1 - missing)
        inlet = kelvin + 10 + 0.2 * (state.coolant - asked.ambient_temperature)  # K
        breathes = own.volumetric_efficiency * (1 - 0.035 * (krpm - 3.2) ** 2)
        drawn = own.displacement * speed * breathes / (120 * GAS * inlet)  # g/s per kPa above the residual gas's
        needed = indicated * omega / 1000 / (efficiency * LHV) * STOICHIOMETRIC * state.mixture * 1000  # g/s
        wish = needed / drawn + 9.0  # kPa, of which 9 are residual gas [H, ch. 6]
        ratio = np.clip(wish / (upstream * 0.97) - 1 + SPARE_BOOST, 0.0, blown - 1)
        state.spool += self.spools * (ratio - state.spool)
        # Past the throttle, through a leak [G, ch. 2: isentropic flow]: it comes in whatever is wanted.
        before = np.maximum(upstream, state.manifold * 1.02)
        flow = orifice(state.manifold / before) * before / np.sqrt(GAS * 1000 * kelvin)  # g/s per mm²
        leaking = wrong.manifold_leak * flow * (state.manifold < asked.ambient_pressure) * runs
        least = np.maximum(OVERRUN_KPA, (leaking + LEAST_AIR) / drawn + 9.0)
        wish = np.where(governed & ~plant, np.minimum(wish, (leaking + IDLE_AIR) / drawn + 9.0), wish)
        most_now = np.minimum(upstream * 0.97 * (1 + state.spool), most)
        pressure = np.minimum(np.maximum(wish, least), most_now)
        state.manifold += np.where(runs > 0, self.fills, 1.0) * (
            np.where(runs > 0, pressure, asked.ambient_pressure) - state.manifold
        )
        air = runs * drawn * np.maximum(state.manifold - 9.0, 1.0)  # g/s

        metered = np.where(runs > 0, np.maximum(air - leaking, np.minimum(air, LEAST_AIR)), 0.0)
        area = np.clip(metered / np.maximum(flow, 1e-6) / 1300.0, 0.0, 1.0)  # of a 52 mm bore's usable area
        throttle = np.where(runs > 0, 6.0 + 94.0 * area**0.55, 6.0)

        # Fuel: by the air that is measured; the control trims it by up to a quarter each way [B], so that the
        # sensor sees its target. A cylinder that misses exhales its air; a part of it is burnt at the sensor.
        ask = np.where(runs > 0, air / np.maximum(metered, 1e-6), 1.0) / np.maximum(wrong.injector_scale, 0.05)
        oxygen = 1 + 0.6 * missing
        trim = np.clip(ask * oxygen, 0.75, 1.25)
        state.swing = self.swings * state.swing + np.sqrt(1 - self.swings**2) * noise[:, 2]
        swing = SWING * state.swing * (rich == 0)  # enrichment is open-loop
        mixture = target * ask / trim  # of what burns
        state.mixture += self.feels * (np.where(runs > 0, np.clip(mixture, 0.5, 2.0), 1.0) - state.mixture)
        mixture = mixture * (1 + swing)
        burnt = np.where(cut, 0.0, air / STOICHIOMETRIC / mixture)  # g/s
        commanded = burnt / np.maximum(wrong.injector_scale, 0.05)
        sensed = np.where(cut | (runs == 0), 1.99, mixture * oxygen)

        gives = own.indicated_efficiency * burns(mixture) * (1 - missing)
        work = air / STOICHIOMETRIC / mixture * LHV * gives / np.maximum(omega, CHARGES)  # Nm
        shaft = np.where(cut, -taken, work - taken)
        state.surplus = np.where(governed, shaft - load, 0.0)
        state.cranking = np.where(starts > 0, CRANKING_S, state.cranking - dt)
        shaft = shaft * runs + np.where(runs > 0, 2.0 * rough * noise[:, 1], 0.0)

        self._warm(state, asked, wrong, burnt, rubbing * omega / 1000 * runs, runs)
        heat = self._exhaust(state, air, mixture, missing, cut, runs, asked)
        state.exhaust += self.heats * (heat - state.exhaust)
        state.vehicle, state.was_running = asked.vehicle_speed, runs
        most_air = np.maximum(most - 9.0, 1.0)
        return np.stack(
            [
                speed * runs,
                np.clip(100 * (state.manifold - 9.0) / most_air, 0.0, 100.0) * runs,
                throttle,
                state.coolant,
                state.oil,
                self._oil_pressure(speed * runs, state.oil, wrong),
                state.manifold,
                metered,
                commanded * 3.6 / PETROL,
                sensed,
                state.exhaust,
                self._vibration(krpm, indicated, missing, wrong) * runs,
                self._voltage(speed, wrong, runs, (state.cranking > 0) & (runs > 0)),
                shaft,
                asked.vehicle_speed,
            ],
            axis=1,
        )

    def _rubbing(self, krpm: Float64, oil: Float64, wrong: _At) -> Float64:
        """Mean effective pressure in kPa of what rubs and of the pumps.

        The correlation of Barnes and Moss [H, ch. 13] is of an engine at full load and holds the gas exchange,
        some 20 kPa of it, which is counted by itself here. Thick oil rubs more (Shayler et al., SAE 2005-01-1654).
        """
        thick = (viscosity(oil) / viscosity(90.0)) ** 0.24
        worn = 1 + 0.05 * (wrong.bearing_clearance - 1)
        rubbing: Float64 = self.own.friction * (77 + 15 * krpm + 5 * krpm**2) * thick * worn
        return rubbing

    def _weak_sparks(self, state: EngineState, wrong: _At) -> Float64:
        """Share of one cylinder's cycles that a weak ignition misses.

        The voltage a spark needs rises with the charge's density (Paschen's law; [B]).
        """
        short = np.maximum(wrong.ignition_voltage_loss - SPARK_MARGIN_V, 0.0)
        return np.clip(0.25 * short * state.manifold / 100.0, 0.0, 0.8)

    def _warm(
        self, state: EngineState, asked: _At, wrong: _At, burnt: Float64, friction_kw: Float64, runs: Float64
    ) -> None:
        """Coolant, oil and thermostat: heat in, heat out.

        Of the fuel's energy 23 % goes to the coolant at full load and some 35 % at idle: measured engines give
        coolant and oil 27.5 % at full and 32.5 % at part load (FEV). What rubs heats oil and coolant by halves.
        """
        own, fuel_kw = self.own, burnt / 1000 * LHV
        opening = np.clip((state.coolant - own.thermostat) / 9.0, 0.0, 1.0)
        state.thermostat += self.melts * (opening - state.thermostat)
        stuck = wrong.thermostat_opening
        opening = np.where(np.isnan(stuck), state.thermostat, stuck)
        wind = (
            np.where(asked.shaft_power > 0, 9.0, asked.vehicle_speed / KMH) ** 0.6
        )  # m/s; a genset's fan always turns
        fan = 0.45 * np.clip((state.coolant - 97.0) / 4.0, 0.0, 1.0) * runs
        # The expansion tank holds 15 %; below it the pump draws air, and at 65 % nothing circulates any more.
        left = np.clip(1 - (wrong.coolant_loss - 0.15) / 0.5, 0.0, 1.0)
        over = state.coolant - asked.ambient_temperature
        out = own.radiator * opening * (0.09 + 0.14 * wind + fan) * left * over + 0.02 * over
        out = out + 6.0 * np.maximum(state.coolant - 122.0, 0.0)  # the cap opens, and coolant boils off [B]
        to_oil = 0.28 * (state.oil - state.coolant)
        mass = own.thermal_mass * (1 - 0.35 * wrong.coolant_loss)
        walls = (0.22 + 0.20 * np.exp(-fuel_kw / 20)) * fuel_kw
        state.coolant += self.dt / mass * (walls + 0.5 * friction_kw - out + to_oil)
        lost = 0.004 * (state.oil - asked.ambient_temperature) * (1 + wind)
        state.oil += self.dt / OIL_MASS * (0.5 * friction_kw + 0.035 * fuel_kw - to_oil - lost)

    def _exhaust(
        self,
        state: EngineState,
        air: Float64,
        mixture: Float64,
        missing: Float64,
        cut: Bool,
        runs: Float64,
        asked: _At,
    ) -> Float64:
        """Temperature in °C towards which the exhaust goes.

        Hottest at lambda 1 and full flow, cooled on its way by the port's walls [H, ch. 6].
        """
        beside = np.minimum(np.abs(mixture - 1.0), 0.35)  # beyond that, what burns at all burns like that
        hottest = 870.0 * self.own.exhaust - 900.0 * beside - 700.0 * missing
        keeps = 1 - 0.6 * np.exp(-air / 20.0)
        burning = state.coolant + (hottest - state.coolant) * keeps
        pumped = np.where(cut, 0.55 * burning + 0.45 * state.coolant, burning)
        return np.where(runs > 0, pumped, asked.ambient_temperature + 10.0)

    def _oil_pressure(self, speed: Float64, oil: Float64, wrong: _At) -> Float64:
        """Pressure in kPa: a gear pump against the bearings' clearances, and a relief valve [B]."""
        flow = self.own.oil_delivery * (1 - wrong.oil_pump_loss) * speed / 2000.0
        thick = (viscosity(oil) / viscosity(95.0)) ** 0.5
        # A third of the oil leaves through the main bearings, with the square of their clearance.
        line = 330.0 * flow * thick / (0.7 + 0.3 * wrong.bearing_clearance**2)
        relief = self.own.oil_relief
        pressure: Float64 = np.where(
            line < 0.7 * relief, line, relief * (1 - 0.3 * np.exp(-(line / relief - 0.7) / 0.3))
        )
        return pressure

    def _vibration(self, krpm: Float64, indicated: Float64, missing: Float64, wrong: _At) -> Float64:
        """Vibration in mm/s rms; its parts add by their power; the scale is a choice.

        Second-order inertia forces with a resonance of the mounts, combustion, the half order of a cylinder that
        misses, and knocking bearings.
        """
        ratio = krpm / 2.6
        inertia = 1.1 * krpm**2 / np.sqrt((1 - ratio**2) ** 2 + (0.9 * ratio) ** 2) / 2.0
        combustion = 0.3 + 0.012 * indicated
        halves = 40.0 * missing * (0.25 + indicated / 120.0)
        knocks = 1.6 * (wrong.bearing_clearance - 1) * krpm**0.7
        total: Float64 = self.own.vibration * np.sqrt(inertia**2 + combustion**2 + halves**2 + knocks**2)
        return total

    def _voltage(self, speed: Float64, wrong: _At, runs: Float64, cranking: Bool) -> Float64:
        """Supply in V: an alternator weak at low speed [B]; the battery's rest voltage; the starter's load."""
        charging = (
            self.own.alternator - 0.35 * np.exp(-np.maximum(speed - 700, 0) / 450) - wrong.ignition_voltage_loss
        )
        volts: Float64 = np.where(cranking, 10.4, np.where(runs > 0, charging, 12.6))
        return volts
