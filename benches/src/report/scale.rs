//! From values to places in a picture.

/// From values to places.
pub struct Scale {
    /// Where it begins and ends.
    pub space: (f64, f64),
    from: f64,
    /// Its last value.
    pub to: f64,
    logarithmic: bool,
}

impl Scale {
    /// Equal steps are equally long.
    pub fn linear(space: (f64, f64), from: f64, to: f64) -> Self {
        Self {
            space,
            from,
            to,
            logarithmic: false,
        }
    }

    /// Equal factors are.
    pub fn logarithmic(space: (f64, f64), from: f64, to: f64) -> Self {
        Self {
            space,
            from: from.max(1e-9),
            to,
            logarithmic: true,
        }
    }

    /// Where a value is; what is beyond an end, there.
    pub fn at(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(1e-9) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        let place = if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.space.0 + place * (self.space.1 - self.space.0)
    }

    /// Whether a value has a place of its own.
    pub fn has(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// Round values along it: some, or about so many.
    pub fn ticks(&self) -> Vec<f64> {
        self.about(4.0)
    }

    /// About so many.
    pub fn about(&self, count: f64) -> Vec<f64> {
        if self.logarithmic {
            let first = self.from.log10().floor() as i32;
            let last = self.to.log10().floor() as i32;
            // Of few decades more than one value each.
            let each: &[f64] = match self.to / self.from {
                ..50.0 => &[1.0, 2.0, 5.0],
                _ => &[1.0],
            };
            let all =
                (first..=last).flat_map(|power| each.iter().map(move |n| n * 10_f64.powi(power)));
            let inside = |tick: &f64| (self.from..=self.to * 1.000_001).contains(tick);
            return all.filter(inside).collect();
        }
        let rough = (self.to - self.from) / count;
        if rough <= 0.0 || !rough.is_finite() {
            return Vec::new();
        }
        let power = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 2.5, 5.0, 10.0];
        let step = round
            .into_iter()
            .map(|r| r * power)
            .find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn scales_have_round_ticks() {
        let scale = Scale::linear((0.0, 100.0), 0.0, 1.1);
        assert_eq!(scale.ticks().len(), 3);
        assert!((scale.at(0.55) - 50.0).abs() < 1e-9);
        assert!((scale.at(7.0) - 100.0).abs() < 1e-9);
        let scale = Scale::logarithmic((0.0, 100.0), 1.0, 10_000.0);
        assert_eq!(scale.ticks(), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert!((scale.at(100.0) - 50.0).abs() < 1e-9);
        let scale = Scale::logarithmic((0.0, 100.0), 0.15, 3.0);
        assert_eq!(scale.ticks(), [0.2, 0.5, 1.0, 2.0]);
    }
}
