"""The catalogue of faults: what each kind does, and its severities in physical units with the reason for them.

The severities were fixed before any detection was tried and are not to be tuned to it. A severity may also be
any number of the kind's unit within its bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = ("mild", "moderate", "severe")
ONSETS = ("sudden", "ramped", "intermittent")

# What an engine's sensors move through between a start at room temperature and full load, in their units. The
# asset file's ranges are those of OBD-II's encodings (fuel rate to 3212 l/h): a share of them would say nothing.
WORKING_SPAN: dict[str, float] = {
    "engine_speed": 5000.0,
    "engine_load": 100.0,
    "throttle_position": 100.0,
    "coolant_temperature": 60.0,
    "oil_temperature": 80.0,
    "oil_pressure": 400.0,
    "map": 150.0,
    "maf": 100.0,
    "fuel_rate": 25.0,
    "lambda": 0.4,
    "exhaust_gas_temperature": 600.0,
    "vibration_rms": 10.0,
    "control_module_voltage": 4.0,
    "torque": 250.0,
    "vehicle_speed": 130.0,
}
SHARE_OF_SPAN = "share of the working span"
SPIKE_SPAN = 0.5  # height of a spike, as a share of the working span


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault. The severity s of an engine fault makes `effect` = `base` + `slope` x s."""

    name: str
    what: str  # for the list that the command prints
    unit: str
    severities: Mapping[str, float]
    lowest: float  # bounds of what can physically be
    highest: float
    reason: str
    effect: str = ""  # field of Effects; empty for a sensor fault
    base: float = 0.0
    slope: float = 1.0
    onsets: tuple[str, ...] = ONSETS

    @property
    def on_sensor(self) -> bool:
        """Whether it is a sensor that fails and not the engine."""
        return not self.effect


def _levels(mild: float, moderate: float, severe: float) -> dict[str, float]:
    return dict(zip(LEVELS, (mild, moderate, severe), strict=True))


_ENGINE = (
    FaultKind(
        "misfire",
        "some of one cylinder's cycles do not burn",
        "share of one cylinder's cycles",
        _levels(0.08, 0.20, 0.60),
        *(0.0, 1.0),
        "of four cylinders' firings 2 %, 5 % and 15 %: makers' misfire monitors (OBD-II, 13 CCR 1968.2 (e)(3)) "
        "take 1 to 5 % as harmful to emissions and, by speed and load, 2.5 to 30 % as harmful to the catalyst",
        effect="misfire_share",
    ),
    FaultKind(
        "rich_mixture",
        "the control holds lambda too low",
        "lambda below the target",
        _levels(0.04, 0.10, 0.20),
        *(0.0, 0.35),
        "beyond the window of a three-way catalyst (about ±0.01); full-load enrichment all the time; sooted plugs",
        effect="lambda_bias",
        slope=-1.0,
    ),
    FaultKind(
        "lean_mixture",
        "the control holds lambda too high",
        "lambda above the target",
        _levels(0.04, 0.10, 0.25),
        *(0.0, 0.45),
        "beyond the catalyst's window; best economy; near the lean limit of homogeneous petrol engines (1.3 to "
        "1.4)",
        effect="lambda_bias",
    ),
    FaultKind(
        "low_ignition_voltage",
        "voltage is missing at the coils and on the supply",
        "V",
        _levels(1.0, 2.0, 3.0),
        *(0.0, 6.0),
        "from the usual 14.1 V: below the 13.2 V under which workshops call the charging too low; an "
        "alternator that gives nothing; at a fixed dwell 62 % of a coil's energy left, which goes with the "
        "voltage's square",
        effect="ignition_voltage_loss",
    ),
    FaultKind(
        "coolant_leak",
        "coolant is missing",
        "share of the coolant",
        _levels(0.15, 0.35, 0.60),
        *(0.0, 0.95),
        "an expansion tank emptied; the radiator's upper part dry; the water pump draws air and hardly "
        "anything circulates",
        effect="coolant_loss",
    ),
    FaultKind(
        "thermostat_stuck_open",
        "the thermostat does not close",
        "opening, 0 shut to 1 open",
        _levels(0.5, 0.75, 1.0),
        *(0.3, 1.0),
        "half, three quarters and fully open; makers set a code (P0128) where the coolant does not reach 70 to "
        "75 °C, 11 to 16 below this thermostat's",
        effect="thermostat_opening",
    ),
    FaultKind(
        "thermostat_stuck_shut",
        "the thermostat does not open",
        "opening, 0 shut to 1 open",
        _levels(0.10, 0.05, 0.0),
        *(0.0, 0.3),
        "a tenth, a twentieth and nothing of the way to the radiator is open: enough for idling, for light "
        "load, for neither",
        effect="thermostat_opening",
    ),
    FaultKind(
        "oil_pump_wear",
        "the oil pump delivers less",
        "share of the delivery",
        _levels(0.15, 0.30, 0.50),
        *(0.0, 0.95),
        "a rotor at the service limit of its clearance; well beyond; hot idling near the least pressure that "
        "manuals allow (30 to 110 kPa)",
        effect="oil_pump_loss",
    ),
    FaultKind(
        "bearing_wear",
        "the main bearings are worn",
        "clearance relative to new",
        _levels(1.5, 2.0, 3.0),
        *(1.0, 6.0),
        "within manuals' limits; beyond the strictest (Toyota 2ZR-FE: 0.016 to 0.039 mm new, 0.050 allowed); "
        "beyond the widest (Isuzu 3.2 V6: 0.019 to 0.043 and 0.080), knocking",
        effect="bearing_clearance",
    ),
    FaultKind(
        "clogged_air_filter",
        "the air filter holds air back",
        "kPa at 40 g/s of air",
        _levels(2.5, 6.2, 10.0),
        *(0.0, 30.0),
        "10, 25 and 40 inches of water beyond a clean one: service indicators of petrol engines trip at 20 at "
        "the most (5.0 kPa), of diesels at 25",
        effect="air_filter_drop",
    ),
    FaultKind(
        "injector_drift",
        "the injectors give less fuel than asked for, or more (negative)",
        "share of the fuel missing",
        _levels(0.08, 0.15, 0.25),
        *(-0.5, 0.9),
        "beyond the ±3 % of a matched set; noticeable; the reach of the fuel trim (P0171; Saab: 25 %)",
        effect="injector_scale",
        base=1.0,
        slope=-1.0,
    ),
    FaultKind(
        "manifold_leak",
        "air enters between throttle and valves",
        "mm² of leak",
        _levels(3.0, 12.0, 28.0),
        *(0.0, 200.0),
        "holes of 2, 4 and 6 mm; an idling two-litre engine draws about 2.5 g/s, which at choked flow is 11 mm²",
        effect="manifold_leak",
    ),
    FaultKind(
        "turbo_wear",
        "the turbocharger raises the pressure less",
        "share of the pressure rise",
        _levels(0.15, 0.30, 0.60),
        *(0.0, 1.0),
        "made up for by the control; about where underboost codes are set (P0299: 27 kPa short, Acura); hardly "
        "any boost",
        effect="turbo_loss",
    ),
)

_SENSOR = (
    FaultKind(
        "stuck",
        "the sensor repeats a value",
        "s that each value is held",
        _levels(30.0, 300.0, 86_400.0),
        *(1.0, 1e9),
        "a gateway that refreshes too seldom; one that hangs now and then; a frozen sensor",
        onsets=("sudden", "intermittent"),
    ),
    FaultKind(
        "offset",
        "the sensor reads too high or, negative, too low",
        SHARE_OF_SPAN,
        _levels(0.05, 0.15, 0.30),
        *(-1.0, 1.0),
        "some times, and many times, the 1 to 2 % that data sheets allow; a wrong sensor was fitted",
    ),
    FaultKind(
        "drift",
        "the sensor goes astray with time, up to one span",
        f"{SHARE_OF_SPAN} an hour",
        _levels(0.10, 0.50, 2.0),
        *(-100.0, 100.0),
        "a drift of months in the time of a simulation: a tenth of the span after 60, 12 and 3 minutes",
    ),
    FaultKind(
        "gain",
        "the sensor magnifies or, negative, shrinks what it measures",
        "share of the value",
        _levels(0.05, 0.15, 0.40),
        *(-1.0, 2.0),
        "some times the 1 to 2 % that data sheets allow; fouled; a wrong sensor was fitted",
    ),
    FaultKind(
        "noise",
        "white noise is added",
        f"standard deviation as {SHARE_OF_SPAN}",
        _levels(0.02, 0.05, 0.15),
        *(0.0, 1.0),
        "a bad ground; a chafed shield; a loose contact",
    ),
    FaultKind(
        "spikes",
        f"single readings jump by {SPIKE_SPAN:.0%} of the working span, up or down",
        "spikes a minute",
        _levels(1.0, 6.0, 20.0),
        *(0.0, 6000.0),
        "interference now and then; of a switching load; of the ignition",
    ),
    FaultKind(
        "dropout",
        "readings are missing",
        "share of the readings",
        _levels(0.10, 0.50, 1.0),
        *(0.0, 1.0),
        "a weak radio link; every second lost; a broken wire",
    ),
    FaultKind(
        "decoupled",
        "the sensor follows the engine's past: every value is plausible, none belongs to the others",
        "s of delay",
        _levels(20.0, 120.0, 600.0),
        *(1.0, 86_400.0),
        "a gateway's backlog: some traffic lights late; some trips' sections late; another journey",
        onsets=("sudden", "intermittent"),
    ),
)

ENGINE_FAULTS: dict[str, FaultKind] = {kind.name: kind for kind in _ENGINE}
SENSOR_FAULTS: dict[str, FaultKind] = {kind.name: kind for kind in _SENSOR}
FAULTS: dict[str, FaultKind] = ENGINE_FAULTS | SENSOR_FAULTS
