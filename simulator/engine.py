"""The physics of N engines at once: what they are asked to do -> what their sensors could measure.

Pure: changes the state it is given, and nothing else. A mean-value model (Hendricks and Sorenson 1990; Guzzella
and Onder 2010, ch. 2): quantities are means over engine cycles. Fast lags are discretised exactly, so that half a
second is as good a step as a tenth; what is slower than ten seconds is stepped by Euler.

A car's speed is given, and the driver (a plant's governor) opens the throttle as far as that takes. So a fault
that costs power shows in throttle, manifold pressure and fuel, as in life, and not in the speed.

Sources, by the names used below: [H] Heywood, Internal Combustion Engine Fundamentals (1988); [G] Guzzella and
Onder, Introduction to Modeling and Control of Internal Combustion Engine Systems (2010); [B] Bosch Automotive
Handbook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.records import RATED_KW, SENSORS

if TYPE_CHECKING:
    from monitor.records import Bool, Float64
    from simulator.parameters import Parameters
    from simulator.records import Demand, Effects

LHV = 43_500.0  # kJ/kg, lower heating value of petrol [H, app. D]
STOICHIOMETRIC = 14.7  # kg of air for a kg of petrol
PETROL = 0.745  # kg/l
GAS = 0.287  # kJ/(kg K), of air
CYLINDERS = 4
KMH = 3.6

UPSHIFT = np.array([17.0, 32.0, 50.0, 68.0, 92.0])  # km/h at which the next gear is taken
DOWNSHIFT = np.array([11.0, 24.0, 40.0, 57.0, 78.0])  # and at which it is left again
SPEED_PER_KMH = np.array([128.0, 72.0, 48.0, 36.5, 29.0, 23.5])  # rpm per km/h in each gear
GOVERNED = 1500.0  # rpm of a genset without load (50 Hz, four poles); a droop of 2 % at full load
DROOP = 0.02

INERTIA_S = 0.35  # lag of the engine's speed behind the wheels' or the governor's
FILLING_S = 0.18  # lag of the manifold [G, 2.3]
EXHAUST_S = 9.0  # of the exhaust and its thermocouple's well
WAX_S = 12.0  # of the thermostat's wax
OIL_MASS = 22.0  # kJ/K of oil and what it washes
CUT_BELOW_KW = -1.5  # on overrun below this the injectors stay shut
SPARK_MARGIN_V = 1.5  # what the ignition can lose before it misses under load


@dataclass(slots=True)
class EngineState:
    """What N engines carry from tick to tick."""

    speed: Float64  # (N,) rpm
    gear: Float64  # (N,) 0 to 5
    vehicle: Float64  # (N,) km/h at the last tick
    manifold: Float64  # (N,) kPa
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
        manifold=np.full(engines, 100.0),
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

    `noise` (T, N, 2) is standard normal: of the idle governor, and of the combustion from cycle to cycle.
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
        self.spins = _towards(INERTIA_S, period_s)
        self.fills = _towards(FILLING_S, period_s)
        self.heats = _towards(EXHAUST_S, period_s)
        self.melts = _towards(WAX_S, period_s)
        self.hunts = float(np.exp(-period_s / 1.5))
        self.litres = parameters.displacement / (4 * np.pi)  # (N,) Nm per kPa of mean effective pressure

    def take(self, state: EngineState, asked: _At, wrong: _At, noise: Float64) -> Float64:
        """The true values (N, C) of the next tick."""
        own, dt = self.own, self.dt
        runs = asked.running.astype(np.float64)  # (N,) and so all that follows
        starts = runs * (1 - state.was_running)
        plant = asked.shaft_power > 0

        # What is asked of the shaft, and at which speed.
        wheel = _road_power(own, asked.vehicle_speed, state.vehicle, dt)  # kW
        power = np.where(plant, asked.shaft_power, wheel)
        state.gear = _gear(state.gear, asked.vehicle_speed)
        geared = SPEED_PER_KMH[state.gear.astype(np.intp)] * asked.vehicle_speed
        cold = np.clip((60.0 - state.coolant) / 80.0, 0.0, 1.0)  # a cold engine idles faster [B]
        idle = own.idle_speed * (1 + 0.4 * cold)
        wanted = np.where(plant, GOVERNED * (1 + DROOP * (0.5 - power / RATED_KW)), np.maximum(idle, geared))
        state.speed += self.spins * (wanted * runs - state.speed)
        missing = np.clip(wrong.misfire_share + self._weak_sparks(state, wrong), 0.0, 1.0) / CYLINDERS
        rough = 1 + 40 * missing
        state.hunting = self.hunts * state.hunting + np.sqrt(1 - self.hunts**2) * 6.0 * rough * noise[:, 0]
        speed = np.maximum(state.speed + state.hunting * runs * np.exp(-power.clip(0) / 15), 1.0)
        omega = speed * (2 * np.pi / 60)  # rad/s

        # Torque: what the shaft gives, and what friction and the alternator take [H, 13.5].
        krpm = speed / 1000
        thin = _viscosity(state.oil) / _viscosity(90.0)
        rubbing = (
            own.friction * (97 + 15 * krpm + 5 * krpm**2) * thin**0.24 * (1 + 0.05 * (wrong.bearing_clearance - 1))
        )
        taken = rubbing * self.litres + 800 / omega  # Nm; the alternator and pumps take 0.8 kW
        cut = (power < CUT_BELOW_KW) & (speed > 1.4 * own.idle_speed)
        shaft = np.where(cut, -taken, np.maximum(power, 0.0) * 1000 / omega)  # Nm
        indicated = np.where(cut, 0.0, shaft + taken)

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
        efficiency = own.indicated_efficiency * _burns(target) * (1 - missing)
        inlet = 300 + 0.25 * (state.coolant - 20)  # K
        breathes = own.volumetric_efficiency * (1 - 0.035 * (krpm - 3.2) ** 2)
        drawn = own.displacement * speed * breathes / (120 * GAS * inlet)  # g/s per kPa above the residual gas's
        needed = indicated * omega / 1000 / (efficiency * LHV) * STOICHIOMETRIC * target * 1000  # g/s
        pressure = np.clip(needed / drawn + 9.0, 16.0, most)  # 9 kPa of the charge are residual gas [H, 6.4]
        state.manifold += np.where(runs > 0, self.fills, 1.0) * (
            np.where(runs > 0, pressure, asked.ambient_pressure) - state.manifold
        )
        air = runs * drawn * np.maximum(state.manifold - 9.0, 1.0)  # g/s

        # Throttle, and what comes past it through a leak [G, 2.3.2, isentropic flow].
        before = np.maximum(upstream, state.manifold * 1.02)
        flow = _orifice(state.manifold / before) * before / np.sqrt(GAS * 1000 * 300)  # g/s per mm²
        leaking = np.minimum(wrong.manifold_leak * flow * (state.manifold < asked.ambient_pressure), 0.6 * air)
        metered = air - leaking
        area = np.clip(metered / np.maximum(flow, 1e-6) / 1300.0, 0.0, 1.0)  # of a 52 mm bore's usable area
        throttle = np.where(runs > 0, 6.0 + 94.0 * area**0.55, 6.0)

        # Fuel: what is measured is what the control asks for; its trim reaches a quarter each way [B].
        ask = np.where(runs > 0, air / np.maximum(metered, 1e-6), 1.0) / np.maximum(wrong.injector_scale, 0.05)
        trim = np.clip(ask, 0.75, 1.25)
        mixture = target * ask / trim
        burnt = np.where(cut, 0.0, air / STOICHIOMETRIC / mixture)  # g/s
        commanded = burnt / np.maximum(wrong.injector_scale, 0.05) * (1 + 0.5 * missing)
        # A cylinder that does not fire exhales its air; the sensor burns some of the fuel beside it.
        sensed = np.where(cut | (runs == 0), 1.99, mixture + 0.6 * missing)

        shaft = np.where(
            cut, -taken, air / 1000 / STOICHIOMETRIC / mixture * LHV * efficiency * 1000 / omega - taken
        )
        shaft = shaft * runs + np.where(runs > 0, 2.0 * rough * noise[:, 1], 0.0)

        self._warm(state, asked, wrong, burnt, taken * omega / 1000, runs)
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
                self._voltage(speed, wrong, runs, starts),
                shaft,
                asked.vehicle_speed,
            ],
            axis=1,
        )

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

        About 28 % of the fuel's energy goes to the coolant [H, 12.3].
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
        left = 1 - wrong.coolant_loss
        over = state.coolant - asked.ambient_temperature
        out = own.radiator * opening * (0.09 + 0.14 * wind + fan) * left * over + 0.02 * over
        out = out + 6.0 * np.maximum(state.coolant - 122.0, 0.0)  # the cap opens, and coolant boils off [B]
        to_oil = 0.28 * (state.oil - state.coolant)
        mass = own.thermal_mass * (0.45 + 0.55 * left)
        state.coolant += self.dt / mass * (0.28 * fuel_kw * (1 + 0.05 * wrong.coolant_loss) - out + to_oil)
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

        Hottest at lambda 1 and full flow, cooled on its way by the port's walls [H, 6.5].
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
        thick = (_viscosity(oil) / _viscosity(95.0)) ** 0.5
        # A third of the oil leaves through the main bearings, with the square of their clearance.
        line = 330.0 * flow * thick / (0.7 + 0.3 * wrong.bearing_clearance**2)
        relief = self.own.oil_relief
        pressure: Float64 = np.where(
            line < 0.7 * relief, line, relief * (1 - 0.3 * np.exp(-(line / relief - 0.7) / 0.3))
        )
        return pressure

    def _vibration(self, krpm: Float64, indicated: Float64, missing: Float64, wrong: _At) -> Float64:
        """Vibration in mm/s rms; its parts add by their power (ISO 10816 gives the scale).

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

    def _voltage(self, speed: Float64, wrong: _At, runs: Float64, starts: Float64) -> Float64:
        """Supply in V: an alternator weak at low speed [B]; the battery's rest voltage; the starter's load."""
        charging = (
            self.own.alternator - 0.35 * np.exp(-np.maximum(speed - 700, 0) / 450) - wrong.ignition_voltage_loss
        )
        volts: Float64 = np.where(starts > 0, 10.4, np.where(runs > 0, charging, 12.6))
        return volts


def _towards(lag_s: float, period_s: float) -> float:
    """The share of the way that a first-order lag goes in one tick, exactly."""
    return float(1 - np.exp(-period_s / lag_s))


def _gear(gear: Float64, speed: Float64) -> Float64:
    """One gear up or down a tick, with the distance between shift speeds as hysteresis."""
    at = gear.astype(np.intp)
    up = (at < len(UPSHIFT)) & (speed > UPSHIFT[np.minimum(at, len(UPSHIFT) - 1)])
    down = (at > 0) & (speed < DOWNSHIFT[np.maximum(at - 1, 0)])
    return gear + up - down


def _road_power(own: Parameters, speed: Float64, last: Float64, dt: float) -> Float64:
    """Power in kW at the engine for a car's speed: rolling, drag, and inertia with a tenth for what turns [B]."""
    metres = speed / KMH
    force = own.mass * 9.81 * 0.011 * (speed > 0) + 0.5 * 1.2 * own.drag * metres**2
    force = force + 1.1 * own.mass * (speed - last) / KMH / dt
    power: Float64 = force * metres / 1000
    return np.where(power > 0, power / 0.92, power * 0.92)


def _viscosity(oil: Float64 | float) -> Float64:
    """Viscosity in mm²/s of SAE 5W-30 by Vogel's equation, through a data sheet's 62 at 40 and 10.5 at 100 °C."""
    viscous: Float64 = np.exp(-1.645 + 779.3 / (np.maximum(oil, -30.0) + 95.0))
    return viscous


def _burns(mixture: Float64) -> Float64:
    """Indicated efficiency relative to lambda 1 [H, fig. 15-6].

    Rich loses its unburnt fuel; lean gains a little and then burns badly.
    """
    rich = np.minimum(mixture, 1.0)
    lean = np.maximum(mixture - 1.0, 0.0)
    relative: Float64 = rich * (1 + 0.35 * lean - 4.0 * np.maximum(lean - 0.12, 0.0) ** 2)
    return np.maximum(relative, 0.3)


def _orifice(ratio: Float64) -> Float64:
    """Flow function of an isentropic flow with kappa 1.4, in g/s per mm² at 1 kPa and 1 J/kg [G, eq. 2.10].

    The units: kPa mm² / sqrt(J/kg) = 1e3 Pa 1e-6 m² / (m/s) = 1e-3 kg/s = 1 g/s.
    """
    ratio = np.clip(ratio, 0.528, 0.995)
    flow: Float64 = np.sqrt(7.0 * (ratio ** (2 / 1.4) - ratio ** (2.4 / 1.4)))
    return flow
