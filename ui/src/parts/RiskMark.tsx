/** From which score on a call looks somewhat, and very dangerous. */
const SOME = 30;
const HIGH = 65;
const STEPS = 5;

/** A risk of 0 to 100 as a bar and a number. */
export function RiskMark({ score }: { score: number }) {
  const level = score >= HIGH ? "high" : score >= SOME ? "some" : "low";
  return (
    <span className="risk" data-level={level} title={`Risk ${score} of 100`}>
      <svg viewBox="0 0 34 5" aria-hidden="true">
        {Array.from({ length: STEPS }, (_, index) => (
          <rect
            key={index}
            x={index * 7}
            width="6"
            height="5"
            rx="1"
            className={score > (index * 100) / STEPS ? "on" : ""}
          />
        ))}
      </svg>
      <span className="unseen">risk </span>
      {score}
    </span>
  );
}
