//! How many connections there may be: in all, and of one principal.
//!
//! A connection holds a [`Seat`] from its opening to its end. Anonymous callers are nobody in particular, so only the
//! bound for all applies to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::auth::Principal;
use crate::config::LiveSettings;

/// Why there is no seat. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// For nobody.
    #[error("the server has as many live connections as it may have")]
    Server,
    /// For this principal.
    #[error("this principal has as many live connections as it may have")]
    Principal,
}

/// Counts the seats that are taken.
#[derive(Debug)]
pub(super) struct Admission {
    max: usize,
    max_per_principal: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_sub: HashMap<Arc<str>, usize>,
}

/// A place among the connections; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    admission: Arc<Admission>,
    sub: Option<Arc<str>>,
}

impl Admission {
    pub(super) fn new(settings: &LiveSettings) -> Arc<Self> {
        Arc::new(Self {
            max: settings.live_max_connections as usize,
            max_per_principal: settings.live_max_connections_per_principal as usize,
            taken: Mutex::default(),
        })
    }

    /// One more seat.
    pub(super) fn seat(self: &Arc<Self>, principal: &Principal) -> Result<Seat, Full> {
        let mut taken = self.taken();
        if taken.total >= self.max {
            return Err(Full::Server);
        }
        let sub = self.count(&mut taken, principal)?;
        taken.total += 1;
        Ok(Seat { admission: Arc::clone(self), sub })
    }

    fn count(&self, taken: &mut Taken, principal: &Principal) -> Result<Option<Arc<str>>, Full> {
        let Some(sub) = &principal.sub else { return Ok(None) };
        if let Some(count) = taken.by_sub.get_mut(sub.as_str())
            && *count >= self.max_per_principal
        {
            return Err(Full::Principal);
        }
        let sub: Arc<str> = sub.as_str().into();
        *taken.by_sub.entry(Arc::clone(&sub)).or_default() += 1;
        Ok(Some(sub))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Counting cannot panic half-way.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn release(&mut self, sub: &str) {
        if let Some(count) = self.by_sub.get_mut(sub) {
            *count -= 1;
            if *count == 0 {
                self.by_sub.remove(sub);
            }
        }
    }
}

impl Seat {
    /// Whose seat it is turns out to be another principal: a socket says only in `connection_init` who uses it.
    pub(super) fn hand_over(&mut self, principal: &Principal) -> Result<(), Full> {
        if self.sub.as_deref() == principal.sub.as_deref() {
            return Ok(());
        }
        let mut taken = self.admission.taken();
        let sub = self.admission.count(&mut taken, principal)?;
        if let Some(before) = std::mem::replace(&mut self.sub, sub) {
            taken.release(&before);
        }
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.admission.taken();
        taken.total -= 1;
        if let Some(sub) = &self.sub {
            taken.release(sub);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;

    #[test]
    fn seats_are_counted_in_all_and_for_each_principal() {
        let flags = ["--live-max-connections", "3", "--live-max-connections-per-principal", "1"];
        let admission = Admission::new(&settings(&flags).live);
        let of = |sub: Option<&str>| Principal { sub: sub.map(str::to_owned), ..Principal::default() };
        let (ada, bob, nobody) = (of(Some("ada")), of(Some("bob")), of(None));
        let first = admission.seat(&ada).unwrap();
        assert_eq!(admission.seat(&ada).unwrap_err(), Full::Principal);
        let mut second = admission.seat(&nobody).unwrap();
        assert_eq!(second.hand_over(&ada), Err(Full::Principal));
        assert_eq!(second.hand_over(&bob), Ok(()));
        assert_eq!(second.hand_over(&bob), Ok(()));
        let third = admission.seat(&nobody).unwrap();
        assert_eq!(admission.seat(&nobody).unwrap_err(), Full::Server);
        drop(first);
        assert_eq!(admission.seat(&bob).unwrap_err(), Full::Principal);
        assert!(second.hand_over(&ada).is_ok());
        drop((second, third));
        assert!(admission.taken().by_sub.is_empty());
        assert_eq!(admission.taken().total, 0);
    }
}
