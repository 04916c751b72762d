import { runSchedules } from './schedules.ts';

runSchedules(3, 4);
