import { runSchedules } from './schedules.ts';

runSchedules(1, 4);
