/**
 * Checks whether an EC2 instance may use its processor all the time.
 *
 * @module
 */

import { type Finding, fine, note } from "../../host/finding.ts";
import type { Ec2Instance } from "./ec2_metadata.ts";

/**
 * Burstable instances (the T families) earn CPU credits and spend them when busy. Without credits they
 * are limited to a part of a core, a fifth on a `t4g.small`, and a run measures that limit. The balance
 * can't be read from the instance itself.
 */
export function checkCpuCredits(instance: Ec2Instance): Finding {
  const about = "CPU credits";
  const { instanceType } = instance;
  if (instanceType === null) return fine(about, "the instance doesn't tell its type");
  if (!/^t\d/.test(instanceType)) return fine(about, `a ${instanceType} needs none`);
  const where = instance.region === null ? "" : ` --region ${instance.region}`;
  const id = instance.instanceId ?? "INSTANCE";
  return note(
    about,
    `a ${instanceType} is held to a part of its processor when its credits are spent, and the ` +
      `balance can't be seen from here`,
    [
      {
        where: "anywhere, to see the balance",
        what: `aws cloudwatch get-metric-statistics${where} --namespace AWS/EC2 ` +
          `--metric-name CPUCreditBalance --dimensions Name=InstanceId,Value=${id} ` +
          `--start-time "$(date -u -d '30 minutes ago' +%FT%TZ)" ` +
          `--end-time "$(date -u +%FT%TZ)" --period 300 --statistics Minimum`,
      },
      {
        where: "anywhere, to pay instead of being held",
        what: `aws ec2 modify-instance-credit-specification${where} ` +
          `--instance-credit-specifications InstanceId=${id},CpuCredits=unlimited`,
      },
    ],
  );
}
